import type { TrainingStarted } from "@deft-js/core";
import { scrolling, section } from "../figure.ts";
import { html, type Markup, type Piece } from "../markup.ts";
import { grouped, percent } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import { stageTitle } from "../record/timeline.ts";

/** What each training trains: variables that differ in their layer's number alone are one row. */
export function parameters(run: RunRecord): Markup | undefined {
  return section("Trainable parameters", ...run.stages.flatMap((stage): Piece[] => {
    const { training } = stage;
    if (training === undefined) return [];
    const { trainableParameters, totalParameters } = training;
    const share = totalParameters > 0 ? ` (${percent(trainableParameters / totalParameters)} %)` : "";
    const columns = [{ title: "parameter" }, { title: "shape" }, { title: "tensors", numeric: true }, { title: "parameters", numeric: true }];
    return [html`<p>Stage ${stageTitle(stage)} trains ${grouped(trainableParameters)} of ${grouped(totalParameters)} parameters${share}.</p>`, scrolling(`Trainable parameters of stage ${stageTitle(stage)}`, { columns, rows: kindsOf(training) })];
  }));
}

function kindsOf({ trainable }: TrainingStarted): readonly (readonly Piece[])[] {
  const kinds = new Map<string, { readonly path: string; readonly shape: string; tensors: number; size: number }>();
  for (const { path, shape } of trainable) {
    const kind = { path: path.replaceAll(/\.\d+(?=\.)/g, ".*"), shape: shape.join(" × ") };
    const key = JSON.stringify(kind);
    const found = kinds.get(key) ?? { ...kind, tensors: 0, size: 0 };
    kinds.set(key, { ...found, tensors: found.tensors + 1, size: found.size + shape.reduce((a, b) => a * b, 1) });
  }
  return [...kinds.values()].map(({ path, shape, tensors, size }) => [html`<code>${path}</code>`, shape, grouped(tensors), grouped(size)]);
}
