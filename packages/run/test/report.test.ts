import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Reporter, ReportedRun } from "@deft-js/core";
import adaDeft from "@deft-js/plugin-ada-deft";
import energy from "@deft-js/plugin-energy";
import html from "@deft-js/plugin-report-html";
import { reportRuns } from "@deft-js/run";
import { expect, test } from "vitest";
import { readEvents } from "../src/run/recorded-events.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

const plugins = [...PLUGINS, adaDeft, energy, html];

/** A run with gates, evaluated before, in and after training, that writes its own report. */
async function gatedWorld(): Promise<World> {
  const world = await makeWorld();
  const [{ finetune }] = world.content["stages"] as [{ finetune: Record<string, unknown> }];
  const trained = { ...finetune, peft: [{ lora: { rank: 2, alpha: 4 } }, { gates: { strategy: "sigmoid" } }], losses: [{ "gated-density": { blockCost: 0.1 } }], evaluateEvery: 2 };
  world.content["stages"] = [{ evaluate: { task: finetune["task"] } }, { finetune: trained }, { gate: { budget: { blocks: 1 } } }, { evaluate: { meters: [{ density: {} }, { gates: {} }, { energy: { constants: "horowitz-2014" } }] } }];
  world.content["reporters"] = [{ html: {} }];
  return world;
}

function figures(text: string): string[] {
  return [...text.matchAll(/<h4>(.*?)<\/h4>/g)].map(([, title]) => title!);
}

test("a run writes its report, the command's is the same, and several runs stand side by side", async () => {
  const world = await gatedWorld();
  const { metrics } = await world.run({ plugins });
  const text = readFileSync(world.path("out", "report.html"), "utf8");
  expect(figures(text)).toEqual(expect.arrayContaining(["Density (≠ 0) over time, mean over layers", "Density (≠ 0) by encoder layer", "Learned gate by encoder layer", "Gates in the course of training, encoder", "Task loss and objective by step", "Loss term gated-density by step", "Evaluation: accuracy by step", "Estimated energy by encoder layer"]));
  const { blocks } = metrics["gate"] as { blocks: { layer: number; gate: number; skipped: boolean }[] };
  for (const { layer, gate, skipped } of blocks) expect(text).toContain(`<th scope="row" class="text">${layer}</th><td class="number">${gate.toFixed(4)}</td><td class="text">${skipped ? "skipped" : "kept"}</td>`);
  expect(text).toContain("@deft-js/plugin-ada-deft");
  expect(text).toContain("strategy: sigmoid");

  const again = await reportRuns({ folders: [world.path("out")], plugins, discover: false, file: world.path("again.html") });
  expect(again).toBe(world.path("again.html"));
  expect(readFileSync(again, "utf8")).toBe(text);

  await world.run({ plugins, output: world.path("peft"), set: ["finetune.peft=[{ lora: {} }]", "finetune.losses=[]", "stages=[" + JSON.stringify((world.content["stages"] as unknown[])[1]) + "]"], reporters: [] });
  const both = readFileSync(await reportRuns({ folders: [world.path("peft"), world.path("out"), world.path("peft")], plugins, discover: false, file: world.path("both.html") }), "utf8");
  expect(both).toContain("2 runs side by side");
  expect(figures(both)).toContain("Density (≠ 0) by encoder layer, at the end");
});

test("the report of a resumed run holds what was before", async () => {
  const world = await makeWorld();
  world.content["reporters"] = [{ html: {} }];
  const interrupt = new AbortController();
  const atStepTwo: Reporter = { id: "interrupt", connect: ({ events }) => {
    const subscription = events.subscribe((event) => event.type === "step.completed" && event.step === 2 && interrupt.abort());
    return () => subscription.unsubscribe();
  } };
  await expect(world.run({ plugins, signal: interrupt.signal, reporters: [atStepTwo] })).rejects.toMatchObject({ code: "run.interrupted" });
  expect(readFileSync(world.path("out", "report.html"), "utf8")).toContain("<strong>Failed</strong> [run.interrupted]");
  appendFileSync(world.path("out", "events.jsonl"), '{"type":"warning","ti');
  await world.run({ plugins, resume: true });
  const text = readFileSync(world.path("out", "report.html"), "utf8");
  const [, table] = /<caption class="unseen">Task loss and objective by step: values<\/caption>(.*?)<\/table>/s.exec(text)!;
  expect([...table!.matchAll(/<th scope="row" class="text">(\d+)</g)].map(([, step]) => Number(step))).toEqual([1, 2, 3, 4, 5, 6]);
  expect(text).toContain("resumed 1 time");
  expect(text).toContain("events.jsonl: 1 line could not be read");
  const events = await readEvents(world.path("out"));
  expect(events.filter(({ type }) => type === "run.started")).toHaveLength(2);
});

test("a reporter that fails at the end leaves a warning, and the others and the run unharmed", async () => {
  const world = await makeWorld();
  let seen: ReportedRun | undefined;
  const failing: Reporter = { id: "failing", connect: (run) => ((seen = run), () => { throw new Error("no space"); }) };
  await world.run({ reporters: [failing], set: ["finetune.epochs=1"] });
  expect(world.events("out").at(-1)).toMatchObject({ type: "warning", message: "reporter failing: no space" });
  expect(existsSync(world.path("out", "metrics.json"))).toBe(true);
  expect(seen).toMatchObject({ folder: world.path("out"), history: [], recipe: { content: { seed: 42 }, text: readFileSync(world.path("out", "recipe.resolved.yaml"), "utf8") } });
});

test("recorded events lose what is none, and numbers that JSON lacks come back", async () => {
  const world = await makeWorld();
  mkdirSync(world.path("run"));
  const evaluation = { type: "evaluation.completed", time: 1, step: 0, split: "dev", examples: 1, metrics: { f1: NaN }, reports: {} };
  const lines = [JSON.stringify(evaluation), "", "no json", '{"type":"unheard"}', '{"type":"warning","time":2}', JSON.stringify({ type: "warning", time: 3, message: "m" })];
  writeFileSync(world.path("run", "events.jsonl"), lines.join("\n"));
  expect(await readEvents(world.path("run"))).toEqual([evaluation, { type: "warning", time: 3, message: "m" }, { type: "warning", time: 3, message: "events.jsonl: 3 lines could not be read" }]);
  expect(await readEvents(world.path("data"))).toEqual([]);
});

test("a folder without a run, and a reporter that is not installed, are refused", async () => {
  const world = await makeWorld();
  await expect(reportRuns({ folders: [world.path("data")], plugins, discover: false })).rejects.toMatchObject({ code: "report.run", message: expect.stringContaining(world.path("data")) as string });
  await expect(reportRuns({ folders: [], plugins, discover: false })).rejects.toMatchObject({ code: "report.run" });
  writeFileSync(world.path("data", "events.jsonl"), "");
  await expect(reportRuns({ folders: [world.path("data")], discover: false })).rejects.toMatchObject({ code: "plugin.unknown", message: expect.stringContaining("npm install @deft-js/plugin-report-html") as string });
  expect(existsSync(world.path("data", "report.html"))).toBe(false);
  expect(await reportRuns({ folders: [world.path("data")], plugins, discover: false })).toBe(world.path("data", "report.html"));
  rmSync(world.path("data", "report.html"));
});
