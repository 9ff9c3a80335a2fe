import { mkdirSync, writeFileSync } from "node:fs";
import { definePlugin, DeftError, Kernel, PEFT_METHOD, REPORTER, type Artifact, type Attachment, type PeftMethod, type Reporter, type Task } from "@deft-js/core";
import { lora } from "@deft-js/plugin-peft-lora";
import { text } from "@deft-js/plugin-task-text";
import { createKernel, createRun, finetune, load, loadModel, stage } from "@deft-js/run";
import { memory, Rng } from "@deft-js/tensor";
import { config, lastValueFrom } from "rxjs";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { resolvePlugin } from "../src/kernel/resolve.ts";
import { exportArtifact } from "../src/stages/export.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

const kernel = await createKernel({ plugins: PLUGINS, discover: false });
let world: World;
beforeAll(async () => {
  world = await makeWorld();
});

const task = (): Task => text({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv"), text: "text", label: "label", maxLength: 16 });
const open = (): Promise<Artifact> => loadModel(world.path("tiny"), { kernel, head: "sequence-classification", labels: 2 });
const settings = { epochs: 1, batchSize: 8, meters: [] };

describe("a run in code", () => {
  test("takes what it attached off again when a later method does not fit, and tells its error even when a detach fails", async () => {
    const model = await open();
    const before = memory();
    const stuck: PeftMethod = { id: "stuck", options: {}, attach: (on, rng) => ({ ...lora({ rank: 2 }).attach(on, rng), detach: () => { throw new Error("stuck"); } }) as Attachment };
    await expect(createRun({ model, task: task(), peft: [lora({ rank: 2 }), lora({ target: "nosuch$" })] }).fit(settings)).rejects.toMatchObject({ code: "lora.target" });
    expect(memory()).toEqual(before);
    await expect(createRun({ model, task: task(), peft: [lora({ rank: 2 }), stuck, lora({ target: "nosuch$" })] }).fit(settings)).rejects.toMatchObject({ code: "lora.target" });
  });

  test("says what is in the weights already when a merge fails half-way", async () => {
    const artifact = await open();
    const first = lora({ rank: 2 }).attach(artifact.model, new Rng(1));
    const stuck = { ...lora({ rank: 2 }).attach(artifact.model, new Rng(2)), merge: () => { throw new Error("no room."); } } as Attachment;
    const stuckFirst = { ...artifact, attachments: [stuck] };
    await expect(exportArtifact(stuckFirst, world.path("no"), { layout: "model" })).rejects.toThrow(/^no room\.$/);
    await expect(exportArtifact({ ...artifact, attachments: [first, stuck] }, world.path("no"), { layout: "model" })).rejects.toMatchObject({ code: "export.merge", message: "export: lora must merge, got no room. The model has lora in its weights already. Load it again, and leave lora out." });
  });

  test("trains and evaluates one after the other, and leaves rxjs's handler to others", async () => {
    const run = createRun({ model: await open(), task: task(), peft: lora({ rank: 2 }) });
    const warnings: string[] = [];
    run.events.subscribe((event) => {
      if (event.type === "warning") warnings.push(event.message);
      throw new Error("always");
    });
    const fit = run.fit(settings);
    await expect(run.evaluate()).rejects.toMatchObject({ code: "run.busy" });
    await fit;
    await run.evaluate();
    expect(warnings).toEqual(["a subscriber threw: always"]);
    expect(config.onUnhandledError).toBeNull();
  });

  test("opens a task anew for another seed, and again after a failure", async () => {
    const seeds: number[] = [];
    const missing = world.path("later.csv");
    const seeded: Task = { ...task(), open: (context) => (seeds.push(context.rng.state.seed), task().open(context)) };
    const model = await open();
    for (const seed of [1, 2, 2]) await createRun({ model, task: seeded, peft: lora({ rank: 2 }), seed }).fit(settings);
    expect([seeds.length, new Set(seeds).size]).toEqual([2, 2]);
    const later = text({ train: missing, text: "text", label: "label" });
    await expect(createRun({ model, task: later }).fit(settings)).rejects.toMatchObject({ code: "data.file" });
    writeFileSync(missing, "text,label\nthe film was good,good\nthe film was bad,bad\nthe film was fine,good\n");
    expect(await createRun({ model, task: later }).fit(settings)).toMatchObject({ steps: 1 });
  });

  test("keeps a pipeline's run through a stage that builds a new artifact, and names a stage that gives none", async () => {
    const fresh = (rest: Partial<Artifact>) => stage({ id: "fresh", options: {}, operator: () => (source) => new (source.constructor as never as new (s: (o: never) => unknown) => typeof source)((observer: { next(a: unknown): void; complete(): void }) => source.subscribe({ next: ({ model, tokenizer, attachments, metrics }) => observer.next({ model, tokenizer, attachments, metrics, ...rest }), complete: () => observer.complete() })) });
    const trained = async (seed: number): Promise<number[]> => {
      const { attachments } = await lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu", head: "sequence-classification", labels: 2, seed }).pipe(fresh({}), finetune({ task: task(), peft: lora({ rank: 2 }), ...settings })));
      return [...attachments[0]!.variables[0]!.data()];
    };
    expect(await trained(7)).not.toEqual(await trained(8));
    await expect(lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu" }).pipe(fresh({ model: undefined as never })))).rejects.toMatchObject({ code: "stage.artifact", message: expect.stringContaining("stage fresh: must give an artifact, got one without model") as string });
  });
});

test("a recipe's reporter that fails to connect ends the run as failed, the others undone; one that throws at the last event leaves a warning", async () => {
  const undone: string[] = [];
  const reporter = (id: string, connect: Reporter["connect"]): Reporter => ({ id, connect });
  const good = reporter("good", () => () => void undone.push("good"));
  await expect(world.run({ output: world.path("a"), reporters: [good, reporter("bad", () => { throw new DeftError("bad.connect", "bad: no, got none. Try."); })] })).rejects.toMatchObject({ code: "bad.connect" });
  expect([undone, world.events("a").map(({ type }) => type)]).toEqual([["good"], ["run.failed"]]);
  const cause = new Error("boom");
  await expect(world.run({ output: world.path("c"), reporters: [reporter("broken", () => { throw cause; })] })).rejects.toMatchObject({ code: "reporter.connect", cause, message: expect.stringMatching(/^reporter broken: must connect to the run, got boom\./) as string });
  expect(world.events("c").at(-1)).toMatchObject({ type: "run.failed", code: "reporter.connect" });
  const last = reporter("last", ({ events }) => {
    const subscription = events.subscribe((event) => { if (event.type === "run.completed") throw new Error("at the last"); });
    return () => subscription.unsubscribe();
  });
  await world.run({ output: world.path("b"), reporters: [last] });
  expect(world.events("b").at(-1)).toMatchObject({ type: "warning", message: "a subscriber threw: at the last" });
});

describe("plugins", () => {
  const method = (id: string) => ({ id, summary: id, options: z.strictObject({}), create: () => lora({}) });
  const plugin = (name: string, ...contributions: object[]) => definePlugin({ name, version: "1.0.0", core: "*", register: (registry) => contributions.forEach((one) => registry.add(PEFT_METHOD, one as never)) });

  test("that fail bring nothing, and one that is named twice is taken once", () => {
    const fresh = new Kernel().use(plugin("a", method("lora")));
    expect(() => fresh.use(plugin("b", method("foo"), method("lora")))).toThrow(expect.objectContaining({ code: "plugin.duplicate" }));
    expect(fresh.contributions(PEFT_METHOD).map(({ id }) => id)).toEqual(["lora"]);
    const twice = plugin("c", method("bar"));
    expect(fresh.use(twice, twice).contributions(PEFT_METHOD)).toHaveLength(2);
  });

  test.each([[{ ...method("x"), id: "" }, /must have an id, got ""/], [{ id: "x", summary: "" }, /x must have a function create, got undefined/], [{ ...method("x"), options: {} }, /the options of .* x must be a schema of zod 4/]])("say what is wrong with a contribution: %#", (wrong, words) => {
    expect(() => new Kernel().use(plugin("a", wrong))).toThrow(expect.objectContaining({ code: "plugin.invalid", message: expect.stringMatching(words) as string }));
  });

  test("must make what carries the contribution's id: by it a saved adapter finds its method", () => {
    expect(() => new Kernel().use(plugin("a", method("mine"))).create(PEFT_METHOD, "mine")).toThrow(expect.objectContaining({ code: "plugin.invalid", message: expect.stringContaining('got "lora"') as string }));
  });

  test("must have a schema for the options that what they make records: by it a saved adapter is made again", () => {
    expect(() => new Kernel().use(plugin("a", { ...method("lora"), options: undefined })).create(PEFT_METHOD, "lora")).toThrow(expect.objectContaining({ code: "plugin.invalid", message: expect.stringMatching(/must have a schema for the options that it records.*got \{"rank":/) as string }));
    const own = { id: "mine", summary: "", create: () => ({ id: "mine", options: { path: "x" }, connect: () => () => undefined }) };
    const withReporter = definePlugin({ name: "b", version: "1.0.0", core: "*", register: (registry) => registry.add(REPORTER, own) });
    expect(new Kernel().use(withReporter).create(REPORTER, "mine")).toMatchObject({ options: { path: "x" } }); // nothing records a reporter's
  });

  test("are imported by their entry for import where they have one for require, too", async () => {
    const folder = world.path("node_modules", "deft-dual");
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, JSON.stringify({ name: "deft-dual", version: "1.0.0", exports: { ".": { require: "./index.cjs", import: "./index.mjs" } } }));
    writeFileSync(`${folder}/index.cjs`, "module.exports = { name: 'wrong' };");
    writeFileSync(`${folder}/index.mjs`, "export default globalThis.dualPlugin;");
    Object.assign(globalThis, { dualPlugin: plugin("deft-dual", method("dual")) });
    const loaded = await createKernel({ plugins: ["deft-dual"], from: world.folder, discover: false });
    expect(loaded.contributions(PEFT_METHOD).map(({ id }) => id)).toEqual(["dual"]);
  });

  test("are found by the conditions that the process runs with", () => {
    const folder = world.path("node_modules", "deft-conditions");
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, JSON.stringify({ name: "deft-conditions", version: "1.0.0", exports: { ".": { node: "./source.mjs", default: "./not-built.mjs" } } }));
    writeFileSync(`${folder}/source.mjs`, "");
    expect(resolvePlugin("deft-conditions", world.folder)).toMatch(/source\.mjs$/);
    expect(resolvePlugin(folder, world.folder)).toMatch(/source\.mjs$/);
  });
});
