import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ops, RunStream, type Batch, type ForwardResult, type LossTerm, type PeftMethod, type Plugin, type Reporter } from "@deft-js/core";
import { lossTermChecks, peftMethodChecks, toyModel } from "@deft-js/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import generate from "../generators/plugin/index.mjs";

const ROOT = join(import.meta.dirname, "../..");
/** Within the workspace, so that what is generated finds the packages. */
const WORK = join(import.meta.dirname, "generated");

/** nx's tree, as far as the generator uses it, over a folder. */
function treeOver(folder: string) {
  for (const file of ["package.json", "tsconfig.json", "packages/core/package.json"]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), readFileSync(join(ROOT, file)));
  }
  return {
    exists: (path: string) => existsSync(join(folder, path)),
    read: (path: string, encoding: BufferEncoding) => readFileSync(join(folder, path), encoding),
    write: (path: string, text: string) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    },
  };
}

const source = <T>(name: string): Promise<T> => import(join(WORK, "plugins", name, "src/index.ts")) as Promise<T>;

let references: readonly { readonly path: string }[] = [];

beforeAll(() => {
  rmSync(WORK, { recursive: true, force: true });
  const tree = treeOver(WORK);
  generate(tree, { name: "peft-rank-one", kind: "peft-method" });
  generate(tree, { name: "loss-magnitude", kind: "loss-term" });
  generate(tree, { name: "report-lines", kind: "reporter" });
  references = (JSON.parse(readFileSync(join(WORK, "tsconfig.json"), "utf8")) as { references: { path: string }[] }).references;
  for (const file of readdirSync(WORK, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith("tsconfig.json"))) rmSync(join(WORK, file)); // vite would follow them
});
afterAll(() => rmSync(WORK, { recursive: true, force: true }));

it("enters a plugin in the workspace, in order, and gives it core's version", () => {
  const manifest = JSON.parse(readFileSync(join(WORK, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  const names = Object.keys(manifest.dependencies);
  expect(manifest.dependencies["@deft-js/plugin-peft-rank-one"]).toBe("0.1.0");
  expect(names).toEqual([...names].sort());
  expect(references.filter(({ path }) => path === "plugins/peft-rank-one")).toHaveLength(1);
});

it("refuses a name that is taken and one that is no folder's name", () => {
  const tree = treeOver(join(WORK, "other"));
  tree.write("plugins/taken/README.md", "");
  expect(() => generate(tree, { name: "taken", kind: "reporter" })).toThrow(/must be new/);
  expect(() => generate(tree, { name: "../Taken", kind: "reporter" })).toThrow(/lower case/);
});

it("leaves nothing to be filled in", () => {
  const files = readdirSync(join(WORK, "plugins"), { recursive: true, encoding: "utf8" }).filter((file) => /\.(ts|json|md)$/.test(file));
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) expect([file, readFileSync(join(WORK, "plugins", file), "utf8")]).toEqual([file, expect.not.stringMatching(/__[a-z]+__/)]);
});

describe("a generated PEFT method", () => {
  const batch = { size: 2, seq: 3, inputIds: Int32Array.of(1, 4, 2, 3, 5, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0), labels: Int32Array.of(1, 0) };
  let made: { peftRankOne(options: object): PeftMethod; peftRankOneSchema: { parse(options: object): object }; default: Plugin };
  beforeAll(async () => {
    made = await source("peft-rank-one");
  });
  const method = (): PeftMethod => made.peftRankOne(made.peftRankOneSchema.parse({}));
  for (const { name, run } of peftMethodChecks({ batch, model: toyModel, method, identityAtStart: true, merges: false, layouts: [], readers: [] })) it(name, run);
  it("is named after the plugin", () => expect([made.default.name, method().id]).toEqual(["@deft-js/plugin-peft-rank-one", "rank-one"]));
});

describe("a generated loss term", () => {
  let made: { lossMagnitude(options: object): LossTerm };
  beforeAll(async () => {
    made = await source("loss-magnitude");
  });
  const value = ops.Variable.from("a", Float32Array.of(0.5, -1, 2, 0.25, 0.75, -0.5), [1, 2, 3]);
  const forward = (): ForwardResult => ({ logits: ops.tensor([0], [1, 1]), hiddenStates: [], activations: [{ path: "mlp", stack: "encoder", layer: 0, value: value.value, mask: ops.tensor([1, 1], [1, 2]) }] });
  const term = (weight: number) => () => made.lossMagnitude({ weight });
  for (const { name, run } of lossTermChecks({ term: term(1), weightless: term(0), variables: [value], forward, batch: {} as Batch, step: 1e-2, tolerance: 1e-3 })) it(name, run);
});

it("a generated reporter writes a line for each evaluation until it is undone", async () => {
  const { reportLines } = await source<{ reportLines(write: (line: string) => void): Reporter }>("report-lines");
  const stream = new RunStream();
  const lines: string[] = [];
  const undo = reportLines((line) => lines.push(line)).connect({ events: stream.events, command: () => undefined });
  const event = { type: "evaluation.completed", time: 0, step: 3, split: "dev", examples: 2, metrics: { accuracy: 0.5 }, reports: {} } as const;
  stream.emit(event);
  undo();
  stream.emit(event);
  expect(lines).toEqual(['step 3 dev {"accuracy":0.5}\n']);
});
