/** The peer's masks: two layers h ← h + fc2(relu(fc1(h))), pruned one after the other on calibration activations. */
import { evaluationContext, loadParameters, ModelParts, ops, transposeMatrix, type LinearSite, type ParameterSpec } from "@deft-js/core";
import { columnNorms, pruneModel, pruneOptions, type Calibration, type Prunable, type PruneSettings } from "@deft-js/plugin-pruning";
import { Unsupported } from "./build.ts";
import { arrays, json, sourceOf, values, type Arrays } from "./fixture.ts";
import { entryByEntry, type Line } from "./report.ts";

interface Layer {
  readonly up: LinearSite;
  readonly down: LinearSite;
}

interface Stack {
  readonly model: Prunable;
  readonly parts: ModelParts;
  readonly calibration: Calibration;
}

const WEIGHTS = "weights.";

/** The masks of every run, and the norms and scores of the first layer. */
export async function checkPruning(folder: string): Promise<Line[]> {
  const expected = await arrays(folder, "expected.safetensors");
  const { runs } = await json<{ runs: Readonly<Record<string, unknown>> }>(folder, "expected.json");
  const lines = await firstLayer(expected);
  for (const run of Object.keys(runs)) lines.push(...(await masks(run, expected)));
  return lines;
}

/** `wanda.unstructured50`, `magnitude.2of4` (2 of 4 are removed), `wanda.wanda_variant50`. */
function settingsOf(run: string): PruneSettings {
  const found = /^(wanda|magnitude)\.(?:(unstructured|wanda_variant)(\d+)|(\d+)of(\d+))$/.exec(run);
  if (found === null) throw new Unsupported(`the pruning run ${run} is not known`);
  const [, method = "", kind, percent, removed, of] = found;
  const amount = percent === undefined ? { pattern: `${Number(of) - Number(removed)}:${of}` } : { sparsity: Number(percent) / 100 };
  return { [method]: { ...amount, target: "fc[12]$", ...(kind === "wanda_variant" ? { variant: true } : {}) } };
}

async function masks(run: string, expected: Arrays): Promise<Line[]> {
  const { model, parts, calibration } = await stackOf(expected);
  await pruneModel(model, pruneOptions(settingsOf(run)), calibration);
  const lines = model.sites("linear").map(({ path, weight, dIn, dOut }) => {
    const held = transposeMatrix(ops.scope(() => ops.read(weight?.dense() as ops.Tensor)), dIn, dOut);
    const theirs = values(expected, `${run}.${path}.weight.pruned_mask`);
    const differ = held.reduce((count, value, i) => count + ((value === 0) === (theirs[i] === 1) ? 0 : 1), 0);
    return { quantity: `${run}.${path}`, error: differ, tolerance: 0, note: "weights that one side alone removes" };
  });
  parts.dispose();
  return lines;
}

/** ‖x‖² and |W|·‖x‖ of the first layer, as it is before any pruning. */
async function firstLayer(expected: Arrays): Promise<Line[]> {
  const { model, parts, calibration } = await stackOf(expected);
  const sites = model.sites("linear").filter(({ layer }) => layer === 0);
  const norms = await columnNorms(sites, calibration);
  const lines = sites.flatMap(({ path, dIn }) => {
    const name = path.slice(path.lastIndexOf(".") + 1);
    const own = norms.get(path) as Float32Array;
    const scores = values(expected, `${WEIGHTS}${path}.weight`).map((w, i) => Math.abs(w) * Math.fround(Math.sqrt(own[i % dIn] as number)));
    return [
      entryByEntry(`layer0.${name}.scaler_row`, own, values(expected, `layer0.${name}.scaler_row`), 1e-6, 1e-7),
      entryByEntry(`layer0.${name}.wanda_score`, scores, values(expected, `layer0.${name}.wanda_score`), 1e-6, 1e-7),
    ];
  });
  parts.dispose();
  return lines;
}

async function stackOf(expected: Arrays): Promise<Stack> {
  const base: Arrays = new Map([...expected].filter(([name]) => name.startsWith(WEIGHTS)).map(([name, t]) => [name.slice(WEIGHTS.length), t]));
  const specs = [...base].map(([name, { shape }]): ParameterSpec => ({ name, shape, matrix: name.endsWith(".weight"), initial: "zeros" }));
  const loaded = await loadParameters({ who: "fixture", specs, source: sourceOf(base), rng: new ops.Rng(0), names: (name) => [name], ignored: [], optionalParts: [] });
  const parts = new ModelParts(specs, loaded);
  const count = 1 + Math.max(...[...base.keys()].map((name) => Number(/layers\.(\d+)\./.exec(name)?.[1] ?? 0)));
  const linear = (layer: number, name: string): LinearSite => parts.linear({ stack: "encoder", layer, path: `model.layers.${layer}.${name}` });
  const layers = Array.from({ length: count }, (_, layer): Layer => ({ up: linear(layer, "fc1"), down: linear(layer, "fc2") }));
  const model: Prunable = { sites: (kind, pattern) => parts.sites(kind, pattern), headParameters: () => [], replaceWeight: (path, weight) => parts.replaceWeight(path, weight) };
  return { model, parts, calibration: () => samples(layers, expected) };
}

function* samples(layers: readonly Layer[], expected: Arrays): Generator<void> {
  const [count = 0, tokens = 0, d = 0] = expected.get("calib")?.shape ?? [];
  for (let i = 0; i < count; i++) {
    ops.scope(() => {
      let h = ops.tensor(values(expected, "calib").slice(i * tokens * d, (i + 1) * tokens * d), [1, tokens, d]);
      for (const { up, down } of layers) h = ops.add(h, down.forward(ops.relu(up.forward(h, evaluationContext)), evaluationContext));
    });
    yield;
  }
}
