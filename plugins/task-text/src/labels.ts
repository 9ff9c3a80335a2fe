import { DeftError } from "@deft-js/core";
import { rowError, type TextExample } from "@deft-js/data";
import type { LabelledRow } from "./rows.ts";

/** Most classes that are found without being named. */
const MAX_FOUND = 1000;

/**
 * The classes of training rows, sorted: by number where all are whole numbers, by code unit otherwise.
 * @throws DeftError `task.labels` for fewer than 2 or more than 1000
 */
export function foundLabels(rows: readonly LabelledRow[], file: string): string[] {
  const found = [...new Set(rows.map((row) => String(row.label)))];
  if (found.length < 2 || found.length > MAX_FOUND)
    throw new DeftError("task.labels", `text: ${file} must hold 2 to ${MAX_FOUND} classes, got ${found.length}. Check the label column, name the classes as labels, or set regression: true.`);
  const numeric = found.every((label) => /^-?\d{1,15}$/.test(label));
  return numeric ? found.sort((a, b) => Number(a) - Number(b)) : found.sort();
}

/**
 * Rows with the indices of their classes, or with their numbers as scores when there are no classes.
 * @throws DeftError `data.row` with file and line for a class that is not among the labels
 */
export function examplesOf(rows: readonly LabelledRow[], labels: readonly string[]): TextExample[] {
  const indices = new Map(labels.map((label, i) => [label, i]));
  return rows.map((row) => {
    const label = typeof row.label === "number" ? row.label : indices.get(row.label);
    if (label === undefined) throw rowError(row, `the label must be one of ${shown(labels)}`, row.label, "Correct the label, or name all classes as labels");
    return { ...row, label };
  });
}

function shown(labels: readonly string[]): string {
  return labels.length <= 10 ? labels.join(", ") : `${labels.slice(0, 10).join(", ")}, … (${labels.length} classes)`;
}
