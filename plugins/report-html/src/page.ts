import { html, Markup } from "./markup.ts";
import type { RunRecord } from "./record/record.ts";
import { summaryOf } from "./record/summary.ts";
import { comparison } from "./sections/comparison.ts";
import { density } from "./sections/density.ts";
import { energy } from "./sections/energy.ts";
import { evaluations } from "./sections/evaluations.ts";
import { gates } from "./sections/gates.ts";
import { losses } from "./sections/losses.ts";
import { origin } from "./sections/origin.ts";
import { overview } from "./sections/overview.ts";
import { parameters } from "./sections/parameters.ts";
import { STYLE } from "./style.ts";

/** What stands on a page besides the runs. */
export interface PageOptions {
  readonly title?: string | undefined;
}

/**
 * One HTML document about runs: compared when there are several, then each by itself. It holds its style and its drawings, has no scripts, and its content
 * policy forbids every request. What a run does not have is left out. The same runs give the same text.
 */
export function page(runs: readonly RunRecord[], { title }: PageOptions = {}): string {
  const named = distinct(runs);
  const heading = title ?? (named.length === 1 ? "Run report" : `${named.length} runs side by side`);
  const name = title ?? (named.length === 1 ? (named[0]?.label ?? heading) : heading);
  const nav = named.length > 1 && html`<nav aria-label="Runs"><ul>${named.map(({ label }, i) => html`<li><a href="#run-${i + 1}">${label}</a></li>`)}</ul></nav>`;
  const compared = named.length > 1 && html`<article><h2>Comparison</h2>${comparison(named.map(summaryOf))}</article>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${name} · deft-js</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header><h1>${heading}</h1>${nav}</header>
<main>${compared}
${named.map((run, i) => article(run, i + 1))}</main>
</body>
</html>
`.text;
}

function article(run: RunRecord, number: number): Markup {
  return html`<article id="run-${number}"><h2>${run.label}</h2>${overview(run)}
${[evaluations(run), density(run), gates(run), losses(run), energy(run), parameters(run), origin(run)]}</article>\n`;
}

/** Runs of the same label get their place in the row. */
function distinct(runs: readonly RunRecord[]): readonly RunRecord[] {
  const isTwice = (label: string): boolean => runs.filter((run) => run.label === label).length > 1;
  return runs.map((run, i) => (isTwice(run.label) ? { ...run, label: `${run.label} (${i + 1})` } : run));
}
