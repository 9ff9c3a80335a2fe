import { html, type Markup } from "../markup.ts";
import { change, duration, grouped, moment, percent, short, tickLabel } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import { stackDensity, summaryOf } from "../record/summary.ts";
import { densitiesOf, finalOf } from "../record/timeline.ts";
import { hasSkipped } from "./density.ts";

/** A run in a few figures: how it ended, and what it came to. */
export function overview(run: RunRecord): Markup {
  const facts = factsOf(run);
  const failure = run.failure !== undefined && html`<p class="failure"><strong>Failed</strong> [${run.failure.code}] ${run.failure.message}</p>`;
  return html`${failure}<p class="about">${aboutOf(run).join(" · ")}</p>
<dl class="facts">${facts.map(({ name, value, note }) => html`<div><dt>${name}</dt><dd>${value}${note !== undefined && html`<small>${note}</small>`}</dd></div>`)}</dl>`;
}

function aboutOf(run: RunRecord): readonly string[] {
  const { seed, backend, started, milliseconds, outcome, starts, versions, folder } = run;
  const core = versions["@deft-js/core"];
  return [
    outcome,
    ...(started === undefined ? [] : [moment(started), duration(milliseconds)]),
    ...(seed === undefined ? [] : [`seed ${seed}`]),
    ...(backend === undefined ? [] : [`back-end ${backend}`]),
    ...(core === undefined ? [] : [`deft-js ${core}`]),
    ...(folder === undefined ? [] : [`in ${folder}`]),
    ...(starts > 1 ? [`resumed ${starts - 1} ${starts === 2 ? "time" : "times"}`] : []),
  ];
}

interface Fact {
  readonly name: string;
  readonly value: string;
  readonly note?: string | undefined;
}

function factsOf(run: RunRecord): readonly Fact[] {
  const { kind, methods, terms, trainable, total, results, densitySplit, blocks, energy } = summaryOf(run);
  const measured = densitiesOf(run);
  const [first, last] = [measured[0], finalOf(run, measured)];
  const ofWhat = hasSkipped(measured.map(({ density }) => density)) ? ", of the blocks that run" : "";
  const onWhat = densitySplit === undefined ? "" : `, on ${densitySplit}`;
  const isSeveral = first !== last;
  const weights = terms.map(({ name, weight }) => `${name} × ${tickLabel(weight)}`).join(", ");
  const facts: (Fact | false)[] = [
    trainable !== undefined && { name: "Method", value: kind, note: [methods.join(" + "), weights].filter((part) => part !== "").join("; ") || undefined },
    ...results.flatMap(({ metrics, split }) => Object.entries(metrics).slice(0, 1).map(([name, value]) => ({ name, value: short(value), note: `on ${split}` }))),
    ...(["encoder", "decoder"] as const).map((stack) => {
      const [from, to] = [stackDensity(first?.density, stack), stackDensity(last?.density, stack)];
      return to !== undefined && { name: `${stack} density`, value: `${percent(to)} %`, note: `${isSeveral && from !== undefined ? `${change(from, to)} from ${percent(from)} %` : "of neurons ≠ 0"}${ofWhat}${onWhat}` };
    }),
    trainable !== undefined && { name: "Trainable", value: grouped(trainable), note: total !== undefined && total > 0 ? `${percent(trainable / total)} % of ${grouped(total)}` : undefined },
    blocks !== undefined && { name: "Skipped blocks", value: `${blocks.skipped} of ${blocks.of}` },
    energy !== undefined && { name: "Energy ratio", value: energy.toFixed(3), note: "zero-skipping / dense, estimated" },
  ];
  return facts.filter((fact) => fact !== false);
}
