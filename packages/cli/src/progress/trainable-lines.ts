import type { TrainingStarted } from "@deft-js/core";
import { magnitude } from "../tables/numbers.ts";
import { printable } from "../tables/text-table.ts";

/** What is trained, a line for each kind: variables that differ in their layer's number alone count as one. */
export function trainableLines({ trainable }: Pick<TrainingStarted, "trainable">): string[] {
  const kinds = new Map<string, { count: number; size: number }>();
  for (const { path, shape } of trainable) {
    const kind = path.replaceAll(/\.\d+\./g, ".*.");
    const { count, size } = kinds.get(kind) ?? { count: 0, size: 0 };
    kinds.set(kind, { count: count + 1, size: size + shape.reduce((n, d) => n * d, 1) });
  }
  return [...kinds].map(([kind, { count, size }]) => `  ${printable(kind)}${count > 1 ? ` × ${count}` : ""}: ${magnitude(size)}`);
}
