import type { RunEvent } from "@deft-js/core";
import { expect, it } from "vitest";
import { page } from "../src/index.ts";
import { html, escaped } from "../src/markup.ts";
import { completed, densityReport, energyReport, evaluation, readings, recordOf, stageCompleted, stageStarted, started, step, training, WHOLE } from "./events.ts";

/** The cells of the table with this name, row by row, without markup. */
function table(text: string, name: string): string[][] {
  const [, body] = new RegExp(`<caption class="unseen">${name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}</caption>(.*?)</table>`, "s").exec(text) ?? [];
  if (body === undefined) throw new Error(`no table ${name}; there are ${[...text.matchAll(/<caption[^>]*>(.*?)</g)].map(([, found]) => found).join("; ")}`);
  return [...body.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row]) => [...row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell!.replaceAll(/<[^>]*>/g, "")));
}

function headings(text: string): string[] {
  return [...text.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, heading]) => heading!);
}

/** Names of tags in their order, ends too, and of their attributes. */
function structure(text: string): string[] {
  return [...text.matchAll(/<(\/?[\w!-]+)([^>]*)>/g)].map(([, tag, rest]) => [tag!, ...[...rest!.matchAll(/\s([\w:-]+)="[^"]*"/g)].map(([, name]) => name!)].join(" "));
}

const deftRun = recordOf(WHOLE, { name: "deft", peft: { lora: {} } });
const whole = page([deftRun]);

it("tells what the run came to", () => {
  expect(headings(whole)).toEqual(["Evaluations", "Activation density", "Gates of MLP blocks (ADA-DEFT)", "Training", "Operations and energy", "Trainable parameters", "Recipe and versions"]);
  expect(table(whole, "Metrics by stage and split")).toEqual([
    ["stage", "split", "step", "examples", "accuracy", "loss", "encoder density %"],
    ["1 evaluate", "dev", "0", "8", "0.5000", "0.7000", "70.00"],
    ["2 finetune", "dev", "4", "8", "1.0000", "0.2500", "15.00"],
    ["4 evaluate", "dev", "4", "8", "0.8750", "0.3000", "17.50"],
  ]);
  expect(whole).toContain("completed · 1970-01-01 00:00:00 UTC · 5.0 s · seed 7 · back-end native · deft-js 0.1.0");
  expect(whole).toContain("<dt>encoder density</dt><dd>17.50 %<small>−75.00 % from 70.00 %</small>");
});

it("has the objective, the task loss and each further term by step", () => {
  expect(table(whole, "Task loss and objective by step: values")).toEqual([["step", "task loss", "objective Σ weight · term"], ["1", "0.8000", "1.0000"], ["2", "0.6000", "0.7500"], ["3", "0.4000", "0.5000"], ["4", "0.2000", "0.2500"]]);
  expect(table(whole, "Loss term gated-density by step: values").slice(1)).toEqual([["1", "0.4000", "0.5"], ["2", "0.3000", "0.5"], ["3", "0.2000", "0.5"], ["4", "0.1000", "0.5"]]);
  // Steps 1 to 4 on 58 to 626, values 0 to 1 on 234 to 12: 189.33 and 222 a unit.
  expect(whole).toContain('<polyline class="line s0" points="58,56.4 247.33,100.8 436.67,145.2 626,189.6"/>');
  expect(whole).toContain('<polyline class="line s1" points="58,12 247.33,67.5 436.67,123 626,178.5"/>');
});

it("has the density over time, and by layer before and after", () => {
  expect(table(whole, "Density (≠ 0) over time, mean over layers: values").slice(1)).toEqual([["1 evaluate", "0", "70.00", "63.00"], ["2 finetune", "2", "35.00", "31.50"], ["2 finetune", "4", "15.00", "13.50"], ["4 evaluate", "4", "17.50", "15.75"]]);
  expect(table(whole, "Density (≠ 0) by encoder layer: values")).toEqual([
    ["layer", "before training (evaluate) %", "padding in %", "after training (evaluate) %", "padding in %", "change"],
    ["0", "80.00", "72.00", "20.00", "18.00", "−75.00 %"],
    ["1", "60.00", "54.00", "15.00", "13.50", "−75.00 %"],
  ]);
  expect(table(whole, "Density (|a| &#62; 0.01) by encoder layer: values")[1]).toEqual(["0", "40.00", "36.00", "10.00", "9.00", "−75.00 %"]);
  expect(whole).not.toContain("decoder");
});

it("keeps encoder and decoder apart", () => {
  const text = page([recordOf([evaluation(0, {}, { density: densityReport([0.5, 0.25], [0.125]) })])]);
  expect(table(text, "Density (≠ 0) by encoder layer: values").slice(1)).toEqual([["0", "50.00", "45.00"], ["1", "25.00", "22.50"]]);
  expect(table(text, "Density (≠ 0) by decoder layer: values").slice(1)).toEqual([["0", "12.50", "11.25"]]);
  expect(text).not.toContain("over time");
});

it("keeps the layer of a skipped block, and says that means are over the blocks that run", () => {
  const skipped = { ...densityReport([0.5, 0.25]), layers: [(densityReport([0.5, 0.25])["layers"] as unknown[])[1]], encoder: (densityReport([0.25]))["encoder"] };
  const run = recordOf([stageStarted("evaluate", 0), evaluation(0, {}, { density: densityReport([0.5, 0.25]) }), stageCompleted("evaluate", 0), stageStarted("evaluate", 1), evaluation(0, {}, { density: skipped })]);
  const text = page([run]);
  expect(table(text, "Density (≠ 0) by encoder layer: values").slice(1)).toEqual([["0", "50.00", "45.00", "–", "–", "–"], ["1", "25.00", "22.50", "25.00", "22.50", "+0.00 %"]]);
  expect(text).toContain("−33.33 % from 37.50 %, of the blocks that run");
  expect(text).toContain("means are over those that run");
  expect(whole).not.toContain("means are over");
});

it("has the learned gates, the skipped blocks and the gates' course", () => {
  expect(table(whole, "Learned gate by encoder layer: values").slice(1)).toEqual([["0", "0.9500", "kept"], ["1", "0.0400", "skipped"]]);
  expect(whole).toContain("Strategy sigmoid. 1 of 2 blocks is skipped: encoder 1. Threshold of |g|: 0.0500.");
  expect(table(whole, "Gates in the course of training, encoder: values").slice(1)).toEqual([["2", "0.9000", "0.5000"], ["4", "0.9500", "0.0400"]]);
  // Axis 0 to 1: the kept gate 0.95 is 210.9 high, the skipped one 8.88.
  expect(whole).toContain('<rect class="bar s0" x="178" y="23.1" width="44" height="210.9"><title>kept, 0: 0.95</title>');
  expect(whole).toContain('<rect class="bar s1 hollow" x="462" y="225.12" width="44" height="8.88"><title>skipped, 1: 0.04</title>');
});

it("says what a plan that was searched cost", () => {
  const blocks = readings([0.9, 0.1], [1]);
  const text = page([recordOf([stageStarted("gate", 0), stageCompleted("gate", 0, { gate: { strategy: "scalar", blocks, split: "dev", metric: "accuracy", before: 0.9, after: 0.89 } })])]);
  expect(text).toContain("On dev, accuracy went from 0.9000 to 0.8900; the plan was searched on this split.");
});

it("has the estimated energy with the constants' source", () => {
  expect(table(whole, "Operations and energy by evaluation")[1]).toEqual(["4 evaluate, step 4", "dev", "2.10 M", "35.71", "8.40 MB", "35.71", "210.00 µJ", "135.00 µJ", "0.643"]);
  expect(table(whole, "Estimated energy by encoder layer: values").slice(1)).toEqual([["0", "100.00 µJ", "50.00 µJ", "0.500", "50.00"], ["1", "100.00 µJ", "75.00 µJ", "0.750", "25.00"]]);
  expect(whole).toContain("Source: a paper.");
});

it("counts trainable parameters, layers of a kind together", () => {
  expect(whole).toContain("Stage 2 finetune trains 26 of 1\u2009026 parameters (2.53 %).");
  expect(table(whole, "Trainable parameters of stage 2 finetune").slice(1)).toEqual([["encoder.layer.*.query.lora_A", "4 × 3", "2", "24"], ["head.bias", "2", "1", "2"]]);
});

it("leaves out what there is not", () => {
  const text = page([recordOf([started, stageStarted("finetune", 0), training, step(1, { task: 1 }), completed])]);
  expect(headings(text)).toEqual(["Training", "Trainable parameters", "Recipe and versions"]);
  expect(text.match(/<figure>/g)).toHaveLength(1);
  expect(table(text, "Loss by step: values")).toEqual([["step", "loss"], ["1", "1.0000"]]);
  const empty = page([recordOf([])]);
  expect(empty).not.toMatch(/<figure|<table|<section|<h3/);
  expect(empty).toContain("unfinished");
});

it("shows why a run failed, and its warnings", () => {
  const text = page([recordOf([started, { type: "warning", time: 1, message: "slow" }, { type: "run.failed", time: 2, code: "training.nonfinite", message: "step 3" }])]);
  expect(text).toContain("<strong>Failed</strong> [training.nonfinite] step 3");
  expect(text).toContain("<summary>1 warning</summary><ul><li>slow</li></ul>");
});

it("puts several runs side by side", () => {
  const plain: readonly RunEvent[] = [started, stageStarted("finetune", 0), training, step(1, { task: 0.8 }), evaluation(1, { accuracy: 0.9, loss: 0.4 }, { density: densityReport([0.7, 0.5]) }), step(2, { task: 0.4 }), evaluation(2, { accuracy: 1, loss: 0.2 }, { density: densityReport([0.8, 0.6]) }), stageCompleted("finetune", 0), completed];
  const text = page([recordOf(plain, { name: "peft", peft: { lora: {} } }), deftRun]);
  expect(table(text, "Runs side by side")).toEqual([
    ["", "peft", "deft"],
    ["kind", "PEFT", "ADA-DEFT"],
    ["methods", "lora", "lora"],
    ["loss terms × weight", "–", "gated-density × 0.5"],
    ["trainable parameters", "26", "26"],
    ["accuracy, dev", "1.0000", "0.8750"],
    ["loss, dev", "0.2000", "0.3000"],
    ["encoder density, %", "70.00", "17.50"],
    ["change from peft", "–", "−75.00 %"],
    ["blocks skipped", "–", "1 of 2"],
    ["energy, zero-skipping / dense", "–", "0.643"],
    ["time of the run", "5.0 s", "5.0 s"],
  ]);
  expect(table(text, "Density (≠ 0) by encoder layer, at the end: values")).toEqual([["layer", "peft", "deft"], ["0", "80.00", "20.00"], ["1", "60.00", "15.00"]]);
  expect(table(text, "Task loss by step: values").slice(1)).toEqual([["peft", "1", "0.8000"], ["peft", "2", "0.4000"], ["deft", "1", "0.8000"], ["deft", "2", "0.6000"], ["deft", "3", "0.4000"], ["deft", "4", "0.2000"]]);
  expect(table(text, "Density (≠ 0) over time, mean over all layers: values").slice(1, 3)).toEqual([["peft", "1", "60.00"], ["peft", "2", "70.00"]]);
  expect(table(text, "Metrics on dev: values")).toEqual([["run", "accuracy"], ["peft", "1.0000"], ["deft", "0.8750"]]);
  expect(text).not.toContain("Learned gates by");
  expect(text).toContain('<a href="#run-2">deft</a>');
  expect([...text.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, heading]) => heading)).toEqual(["Comparison", "peft", "deft"]);
});

it("tells how long a resumed run was at work", () => {
  const run = recordOf([started, { type: "run.failed", time: 2000, code: "run.interrupted", message: "stopped" }, { ...started, time: 1e7 }, { ...completed, time: 1e7 + 1500 }]);
  const text = page([run, deftRun]);
  expect(text).toContain("completed · 1970-01-01 00:00:00 UTC · 3.5 s · seed 7");
  expect(table(text, "Runs side by side").at(-1)).toEqual(["time of the run", "3.5 s", "5.0 s"]);
});

it("shows the state that a training kept, and of several splits names the density's", () => {
  const kept = [started, stageStarted("finetune", 0), training, step(1, { task: 1 }), evaluation(1, { accuracy: 1 }, { density: densityReport([0.5]), energy: energyReport(0.25) as never }), step(2, { task: 1 }), evaluation(2, { accuracy: 0.5 }, { density: densityReport([0.25]), energy: energyReport(0.125) as never }), stageCompleted("finetune", 0, { finetune: { keptStep: 1 } })];
  const text = page([recordOf(kept, { name: "kept" }), recordOf([...kept, stageStarted("evaluate", 1), evaluation(0, { accuracy: 0.75 }, {}, "test")], { name: "several" })]);
  expect(table(text, "Runs side by side").filter(([title]) => /accuracy|density|energy/.test(title!))).toEqual([
    ["accuracy, dev", "1.0000", "–"], ["accuracy, test", "–", "0.7500"], ["encoder density, %", "50.00", "50.00"], ["split of the density", "–", "dev"], ["energy, zero-skipping / dense", "0.250", "0.250"],
  ]);
  expect(text).toContain("<dt>encoder density</dt><dd>50.00 %<small>of neurons ≠ 0</small>");
  expect(text).toContain("<dt>encoder density</dt><dd>50.00 %<small>of neurons ≠ 0, on dev</small>");
  expect(table(text, "Density (≠ 0) by encoder layer: values")[0]).toEqual(["layer", "step 1 (finetune) %", "padding in %"]);
  expect(text).toContain("Over the evaluation of the state that was kept, step 1.");
});

it("puts the gates of several runs into one figure, and tells runs of one name apart", () => {
  const text = page([deftRun, deftRun]);
  expect(table(text, "Learned gates by encoder layer: values")).toEqual([["layer", "deft (1)", "deft (2)"], ["0", "0.9500", "0.9500"], ["1", "0.0400", "0.0400"]]);
  expect(text).toContain("Skipped blocks: deft (1) 1, deft (2) 1.");
});

/** A run in which every text that comes from outside is the given one. */
function runOf(text: string) {
  const metrics = { [text]: 0.5 };
  const constants = { source: text, multiply: 1, add: 1, dram: 1 };
  const compared = { dense: 2, zeroSkipping: 1, skipped: 1, ratio: 0.5 };
  const operations = { macs: compared, bytes: compared, picojoules: compared };
  const reports = { density: densityReport([0.5]), gates: { layers: readings([0.5]) }, energy: { forwards: 1, constants, layers: [{ stack: "encoder", layer: 0, ...operations }], total: operations } };
  const events: RunEvent[] = [
    { type: "run.started", time: 0, seed: 1, backend: text, versions: { [text]: text, "@deft-js/core": text } },
    { type: "warning", time: 0, message: text },
    stageStarted(text, 0), { ...training, trainable: [{ path: text, shape: [1] }] } as RunEvent,
    step(1, { task: 1, [text]: 1 }), evaluation(1, metrics, reports, text), step(2, { task: 1, [text]: 1 }), evaluation(2, metrics, reports, text),
    stageCompleted(text, 0, { gate: { strategy: text, blocks: readings([0.5], [0]), metric: text, split: text, before: 1, after: 1 }, evaluate: { execution: { id: text } } }),
    { type: "run.failed", time: 1, code: text, message: text },
  ];
  return recordOf(events, { name: text, peft: { [text]: {} }, folder: `/${text}` });
}

it("escapes everything that comes from a run", () => {
  const hostile = `<script>alert("1")</script><img src='x' onerror='y'>&"'`;
  const pageOf = (text: string): string => page([runOf(text), runOf(`${text}2`)], { title: text });
  expect(structure(pageOf(hostile))).toEqual(structure(pageOf("x")));
  expect(pageOf(hostile)).not.toContain("<script");
  expect(pageOf(hostile)).toContain(escaped(hostile));
  expect(html`<i title="${`"a"`}">${"<b>"}${[html`<u>${1}</u>`, undefined, false]}\u0000${"\u0000\u001b"}</i>`.text).toBe('<i title="&#34;a&#34;">&#60;b&#62;<u>1</u>\u0000\ufffd\ufffd</i>');
});

it("is one file without scripts and without an address that is fetched, its tags closed, the same every time", () => {
  const text = page([deftRun, recordOf(WHOLE, { name: "other" })]);
  expect(text).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|url\(|@import|src=/);
  expect([...text.matchAll(/https?:[^"' <]*/g)].map(([address]) => address).filter((address) => address !== "http://www.w3.org/2000/svg")).toEqual([]);
  expect(text).toContain("default-src 'none'");
  const open: string[] = [];
  for (const [, end, tag, rest] of text.matchAll(/<(\/?)([a-z][\w-]*)([^>]*)>/g)) {
    if (end === "/") expect(open.pop()).toBe(tag);
    else if (!rest!.endsWith("/") && tag !== "meta") open.push(tag!);
  }
  expect(open).toEqual([]);
  expect(page([deftRun, recordOf(WHOLE, { name: "other" })])).toBe(text);
});

it("names every drawing, and puts a table beside every chart", () => {
  const charts = whole.match(/<svg role="img"[^>]*><title>[^<]+<\/title>/g);
  expect(charts).toHaveLength(whole.match(/<figure>/g)!.length);
  expect(whole.match(/<div class="chart"><svg role="img".*?<\/svg><\/div><div class="scroll" role="region" tabindex="0" aria-label="[^"]+"><table>/gs)).toHaveLength(charts!.length);
});
