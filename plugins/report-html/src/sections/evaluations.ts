import { scrolling, section } from "../figure.ts";
import type { Markup } from "../markup.ts";
import { grouped, percent, short } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import { densityOf } from "../record/reports.ts";
import { resultsOf, stageTitle } from "../record/timeline.ts";
import { stackDensity } from "../record/summary.ts";

/** The metrics of every stage and split: of a training, those of the state that was kept. */
export function evaluations(run: RunRecord): Markup | undefined {
  const results = run.stages.flatMap((stage) => resultsOf(run, stage));
  if (results.length === 0) return undefined;
  const names = [...new Set(results.flatMap(({ metrics }) => Object.keys(metrics)))];
  const stacks = (["encoder", "decoder"] as const).filter((stack) => results.some(({ reports }) => stackDensity(densityOf(reports), stack) !== undefined));
  const columns = [{ title: "stage" }, { title: "split" }, { title: "step", numeric: true }, { title: "examples", numeric: true }, ...names.map((title) => ({ title, numeric: true })), ...stacks.map((stack) => ({ title: `${stack} density %`, numeric: true }))];
  const rows = results.map(({ stage, split, at, examples, metrics, reports }) => [stageTitle(stage), split, grouped(at), grouped(examples), ...names.map((name) => short(metrics[name])), ...stacks.map((stack) => percent(stackDensity(densityOf(reports), stack)))]);
  return section("Evaluations", scrolling("Metrics by stage and split", { columns, rows }));
}
