import { expect, it } from "vitest";
import { binned, densitiesOf, evaluationsOf, finalGates, finalOf, finalResults, resultsOf, whenOf } from "../src/record/timeline.ts";
import { summaryOf } from "../src/record/summary.ts";
import { completed, densityReport, energyReport, evaluation, readings, recordOf, stageCompleted, stageStarted, started, step, training, WHOLE } from "./events.ts";

it("counts the steps of the whole run, and says when an evaluation was", () => {
  const run = recordOf(WHOLE);
  const all = evaluationsOf(run);
  expect(all.map(({ stage, at }) => [stage.id, at])).toEqual([["evaluate", 0], ["finetune", 2], ["finetune", 4], ["evaluate", 4]]);
  expect(all.map((one) => whenOf(run, one))).toEqual(["before training", "step 2", "step 4", "after training"]);
  expect(run).toMatchObject({ seed: 7, backend: "native", started: 0, ended: 5000, outcome: "completed", starts: 1, warnings: [] });
  const untrained = recordOf([started, stageStarted("evaluate", 0), evaluation(0, { a: 1 }), completed]);
  expect(whenOf(untrained, evaluationsOf(untrained)[0]!)).toBe("evaluate");
});

it("counts the steps of a second training after the first's", () => {
  const run = recordOf([stageStarted("finetune", 0), training, step(1, { task: 1 }), step(2, { task: 1 }), stageCompleted("finetune", 0), stageStarted("finetune", 1), training, step(1, { task: 1 }), evaluation(1, { a: 1 })]);
  expect(evaluationsOf(run).map(({ at }) => at)).toEqual([3]);
  expect(run.stages.map(({ steps }) => steps.length)).toEqual([2, 1]);
});

it("takes of a training the results of the state that was kept", () => {
  const events = (keptStep: number) => [stageStarted("finetune", 0), training, step(1, { task: 1 }), evaluation(1, { a: 0.9 }), step(2, { task: 1 }), evaluation(2, { a: 0.1 }), evaluation(2, { a: 0.2 }, {}, "other"), stageCompleted("finetune", 0, { finetune: { keptStep } })];
  const results = (keptStep: number) => finalResults(recordOf(events(keptStep))).map(({ split, metrics: { a } }) => [split, a]);
  expect(results(1)).toEqual([["dev", 0.9], ["other", 0.2]]);
  expect(results(2)).toEqual([["dev", 0.1], ["other", 0.2]]);
});

it("pairs the metric of the state that was kept with its density, energy and gates", () => {
  const reports = (exact: number, gate: number, part: number) => ({ density: densityReport([exact]), gates: { layers: readings([gate]) }, energy: energyReport(part) as never });
  const events = (keptStep: number) => [started, stageStarted("finetune", 0), training, step(1, { task: 1 }), stageCompleted("finetune", 0), stageStarted("finetune", 1), training, step(1, { task: 1 }), evaluation(1, { a: 0.9 }, reports(0.5, 0.75, 0.25)), step(2, { task: 1 }), evaluation(2, { a: 0.1 }, reports(0.125, 0.25, 0.5)), stageCompleted("finetune", 1, { finetune: { keptStep } })];
  const summary = (keptStep: number) => {
    const run = recordOf(events(keptStep));
    const { results, density, energy, densitySplit } = summaryOf(run);
    return [results[0]?.metrics["a"], density?.encoder?.exact, energy, finalGates(run)?.[0]?.gate, densitySplit];
  };
  expect(summary(1)).toEqual([0.9, 0.5, 0.25, 0.75, undefined]);
  expect(summary(2)).toEqual([0.1, 0.125, 0.5, 0.25, undefined]);
  expect(summary(7)).toEqual([0.1, 0.125, 0.5, 0.25, undefined]);
  const later = recordOf([...events(1), stageStarted("evaluate", 2), evaluation(0, { a: 0.8 }, reports(0.0625, 0.1, 0.5)), evaluation(0, { a: 0.7 }, {}, "other")]);
  expect(summaryOf(later)).toMatchObject({ density: { encoder: { exact: 0.0625 } }, densitySplit: "dev" });
  expect(finalOf(later, [])).toBeUndefined();
});

it("counts once what a resumed run did again", () => {
  const before = [started, stageStarted("finetune", 0), training, step(1, { task: 3 }), step(2, { task: 2 }), evaluation(2, { a: 0.5 }), { type: "run.failed", time: 9, code: "run.interrupted", message: "stopped" } as const];
  expect(recordOf(before)).toMatchObject({ outcome: "failed", failure: { code: "run.interrupted" }, starts: 1 });
  const run = recordOf([...before, { ...started, time: 10 }, stageStarted("finetune", 0), training, step(2, { task: 1 }), evaluation(2, { a: 0.75 }), stageCompleted("finetune", 0), completed]);
  expect(run).toMatchObject({ outcome: "completed", failure: undefined, starts: 2, started: 0 });
  expect(run.stages).toHaveLength(1);
  expect(run.stages[0]!.steps.map(({ loss }) => loss)).toEqual([3, 1]);
  expect(resultsOf(run, run.stages[0]!).map(({ metrics }) => metrics)).toEqual([{ a: 0.75 }]);
});

it("leaves the pause ahead of a resume out of the time at work", () => {
  const resumed = { ...started, time: 1e6 };
  expect(recordOf([started, { ...completed, time: 400 }, resumed, { ...completed, time: 1e6 + 50 }, { ...resumed, time: 3e6 }])).toMatchObject({ started: 0, ended: 3e6, milliseconds: 450, starts: 3 });
  expect(recordOf([{ type: "warning", time: 10, message: "slow" }, { ...completed, time: 30 }])).toMatchObject({ starts: 0, milliseconds: 20 });
  expect(recordOf([]).milliseconds).toBe(0);
});

it("takes trainings and evaluations of a run in code, which announces no stages", () => {
  const run = recordOf([training, step(1, { task: 1 }), evaluation(1, { a: 1 }), evaluation(0, { a: 2 }), evaluation(0, { a: 3 }, {}, "other"), training, step(1, { task: 2 })]);
  expect(run.stages.map(({ id, steps, evaluations }) => [id, steps.length, evaluations.length])).toEqual([["train", 1, 1], ["evaluate", 0, 2], ["train", 1, 0]]);
  expect(run.label).toBe("run");
});

it("names a run by its recipe, then by its folder", () => {
  expect(recordOf([], { name: "mine", folder: "/runs/a" }).label).toBe("mine");
  expect(recordOf([], { folder: "/runs/a" }).label).toBe("a");
});

it("takes means over bins of equally many steps, and leaves absent values out", () => {
  const steps = [8, 4, 2, 6, 7].map((task, i) => step(i + 1, { task }));
  const task = ({ terms }: (typeof steps)[number]) => terms["task"];
  expect(binned(steps, task, { limit: 3, offset: 10 })).toEqual([{ x: 11.5, y: 6, from: 11, to: 12 }, { x: 13.5, y: 4, from: 13, to: 14 }, { x: 15, y: 7, from: 15, to: 15 }]);
  expect(binned(steps, task, { limit: 5 })).toHaveLength(5);
  expect(binned(steps, ({ terms }) => terms["density"], { limit: 5 })).toEqual([]);
  expect(binned([step(1, { task: NaN }), step(2, { task: 1 })], task, { limit: 5 }).map(({ x }) => x)).toEqual([2]);
});

it("takes densities of the last evaluation's split alone, and no report of another shape", () => {
  const run = recordOf([evaluation(0, {}, { density: densityReport([0.5]) }, "train"), evaluation(0, {}, { density: densityReport([0.25]) }), evaluation(0, {}, { density: { layers: "many" } }, "test")]);
  expect(densitiesOf(run).map(({ split, density }) => [split, density.layers[0]!.exact])).toEqual([["dev", 0.25]]);
});

it("summarises: kind, methods, terms, and the gates as they were learned before the plan", () => {
  const run = recordOf(WHOLE, { name: "a", peft: [{ lora: { rank: 2 }, adapter: undefined }, { gates: {} }] });
  expect(summaryOf(run)).toMatchObject({ kind: "ADA-DEFT", methods: ["lora", "gates"], terms: [{ name: "gated-density", weight: 0.5 }], trainable: 26, total: 1026, blocks: { skipped: 1, of: 2 } });
  expect(summaryOf(run).energy).toBeCloseTo(1.35 / 2.1);
  expect(finalGates(run)).toMatchObject([{ gate: 0.95, skipped: false }, { gate: 0.04, skipped: true }]);
  const kindOf = (terms: Record<string, number>, weights?: Record<string, number>) => summaryOf(recordOf([training, step(1, terms, weights)])).kind;
  const scheduled = (...weights: number[]) => [training, ...weights.map((density, i) => step(i + 1, { task: 1, density: 0.5 }, { task: 1, density }))];
  expect(summaryOf(recordOf(scheduled(0, 2, 1, 0)))).toMatchObject({ kind: "DEFT", terms: [{ name: "density", weight: 2 }] });
  const twice = [stageStarted("finetune", 0), ...scheduled(1), stageCompleted("finetune", 0), stageStarted("finetune", 1), training, step(1, { task: 1 })];
  expect(summaryOf(recordOf(twice))).toMatchObject({ kind: "DEFT", terms: [] });
  expect([kindOf({ task: 1 }), kindOf({ task: 1, density: 1 }), kindOf({ task: 1, density: 1 }, { task: 1, density: 0 })]).toEqual(["PEFT", "DEFT", "PEFT"]);
});
