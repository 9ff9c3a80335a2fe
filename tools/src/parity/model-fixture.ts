import { LOSS_TERM, ops, type Batch, type ForwardResult, type Kernel, type LossTerm, type Model } from "@deft-js/core";
import { build, savedName, type Built } from "./build.ts";
import { arrays, has, json, toBatch, values, type Arrays, type FixtureBatch } from "./fixture.ts";
import { entryByEntry, largest, largestError, relativeToLargest, type Line } from "./report.ts";

interface Expected {
  readonly loss: number;
  readonly params_without_gradient?: readonly string[];
}

/** How far each quantity may be off for a fixture: float32's own noise, ten to twenty times. */
interface Tolerances {
  readonly outputs: number;
  readonly gradients: number;
  /** At ε = 1e-7, where one activation near 0 amplifies rounding. */
  readonly gradientsAtTinyEpsilon: number;
  /** Elements over the whole fixture whose exact zero may depend on rounding. */
  readonly nonZeros: number;
}

function tolerancesOf(built: Built): Tolerances {
  const lowRank = built.attachment?.method.id === "lora";
  return { outputs: 1e-5, gradients: 1e-4, gradientsAtTinyEpsilon: 2e-3, nonZeros: lowRank ? 2 : 0 };
}

/** The reference's density loss: padded positions count. */
export const referenceDensity = (kernel: Kernel, epsilon: number): LossTerm => kernel.create(LOSS_TERM, "density", { weight: 1, epsilon, padding: "include" });

/** Everything that a plain or PEFT fixture holds, beside our own. */
export async function checkModel(folder: string, kernel: Kernel): Promise<Line[]> {
  const built = await build(folder, kernel);
  const batch = toBatch(await json<FixtureBatch>(folder, "inputs.json"), built.model.config);
  const expected = await arrays(folder, "expected.safetensors");
  const tolerances = tolerancesOf(built);
  const lines = ops.scope(() => forwardLines(built.model, batch, expected, tolerances));
  const { loss } = await json<Expected>(folder, "expected.json");
  const ours = ops.scope(() => ops.read(built.model.loss(built.model.forward(batch), batch))[0] as number);
  lines.unshift({ quantity: "loss", error: Math.abs(ours - loss), tolerance: 2e-6 * Math.max(1, Math.abs(loss)) });
  for (const key of epsilonsOf(expected)) lines.push(densityLine(kernel, built.model, batch, expected, key));
  if (has(folder, "grads.safetensors")) lines.push(...(await gradientLines(folder, kernel, built, batch, tolerances)));
  built.attachment?.detach();
  built.model.dispose();
  return lines;
}

function forwardLines(model: Model, batch: Batch, expected: Arrays, { outputs, nonZeros }: Tolerances): Line[] {
  const result = model.forward(batch, { activations: true, hiddenStates: true });
  const lines = [relativeToLargest("logits", ops.read(result.logits), values(expected, "logits"), outputs)];
  for (const [i, state] of result.hiddenStates.entries()) {
    const name = `hidden_states.enc.${i}`;
    if (expected.has(name)) lines.push(relativeToLargest(name, ops.read(state), values(expected, name), outputs));
  }
  for (const { layer, value } of result.activations) {
    const name = `mlp_act.enc.${layer}`;
    if (expected.has(name)) lines.push(relativeToLargest(name, ops.read(value), values(expected, name), outputs));
  }
  if (expected.has("density_count_nonzero.enc")) lines.push(nonZeroLine(result, values(expected, "density_count_nonzero.enc"), nonZeros));
  return lines;
}

/** Exact non-zeros of each example and layer: the error is the number of elements that differ. */
function nonZeroLine(result: ForwardResult, expected: Float32Array, allowed: number): Line {
  const layers = result.activations.length;
  let error = 0;
  for (const [l, { value }] of result.activations.entries()) {
    const [batch = 0, seq = 0, width = 0] = value.shape;
    const a = ops.read(value);
    for (let b = 0; b < batch; b++) {
      const count = a.subarray(b * seq * width, (b + 1) * seq * width).reduce((n, x) => n + (x === 0 ? 0 : 1), 0);
      error += Math.abs(count - Math.round((expected[b * layers + l] as number) * seq * width));
    }
  }
  return { quantity: "density_count_nonzero.enc", error, tolerance: allowed, note: "elements over the fixture" };
}

const epsilonsOf = (expected: Arrays): string[] => [...expected.keys()].filter((name) => /^density_l0\.eps.*\.enc$/.test(name));

/** The matrix [batch, layers] of the penalty, from the density plugin's own term over one example and one layer at a time. */
function densityLine(kernel: Kernel, model: Model, batch: Batch, expected: Arrays, key: string): Line {
  const epsilon = Number(/eps([^.]+(?:\.\d+)?)\.enc$/.exec(key)?.[1]);
  const term = referenceDensity(kernel, epsilon);
  const ours = ops.scope(() => {
    const result = model.forward(batch, { activations: true });
    const entry = (b: number, l: number): number => {
      const tapped = result.activations[l] as (typeof result.activations)[number];
      const [, seq = 0, width = 0] = tapped.value.shape;
      const one = { ...tapped, layer: 0, value: ops.slice(tapped.value, [b, 0, 0], [1, seq, width]), mask: ops.slice(tapped.mask, [b, 0], [1, seq]) };
      return ops.read(term.compute({ ...result, activations: [one] }, batch, { step: 0, totalSteps: 1, epoch: 0 }))[0] as number;
    };
    return Array.from({ length: batch.size * result.activations.length }, (_, i) => entry(Math.floor(i / result.activations.length), i % result.activations.length));
  });
  return entryByEntry(key, ours, values(expected, key), 1e-5, 1e-6);
}

/** The gradient of the task's loss, alone or with the density loss, by everything that trains. */
export function gradientsOf(built: Built, batch: Batch, trainable: readonly ops.Variable[], term: LossTerm | undefined): Map<string, Float32Array> {
  for (const variable of trainable) variable.trainable = true;
  return ops.scope(() => {
    const { gradients } = ops.valueAndGradients(() => {
      const result = built.model.forward(batch, term?.taps ?? {});
      const task = built.model.loss(result, batch);
      return term === undefined ? task : ops.add(task, term.compute(result, batch, { step: 0, totalSteps: 1, epoch: 0 }));
    }, trainable);
    return new Map([...gradients].map(([path, gradient]) => [path, ops.read(gradient)]));
  });
}

async function gradientLines(folder: string, kernel: Kernel, built: Built, batch: Batch, tolerances: Tolerances): Promise<Line[]> {
  const grads = await arrays(folder, "grads.safetensors");
  const plain = built.attachment === undefined;
  const groups = plain ? [""] : [...new Set([...grads.keys()].map((name) => `${name.split("/")[0] ?? ""}/`))];
  const trainable = plain ? [...built.model.parameters().values()] : [...(built.attachment?.variables ?? []), ...built.model.headParameters()];
  return groups.map((group) => {
    const epsilon = group === "" ? 1e-3 : group === "task_only/" ? undefined : Number(/eps(.*)\//.exec(group)?.[1]);
    const ours = built.inPeerLayout(gradientsOf(built, batch, trainable, epsilon === undefined ? undefined : referenceDensity(kernel, epsilon)));
    const share = epsilon !== undefined && epsilon < 1e-5 ? tolerances.gradientsAtTinyEpsilon : tolerances.gradients;
    return gradientLine(group, ours, grads, share);
  });
}

/** One line for all parameters: the largest error against the largest gradient of the fixture. */
function gradientLine(group: string, ours: ReadonlyMap<string, Float32Array>, grads: Arrays, share: number): Line {
  const names = [...grads.keys()].filter((name) => name.startsWith(group));
  let error = 0;
  let top = 0;
  const missing: string[] = [];
  for (const name of names) {
    const expected = values(grads, name);
    const actual = ours.get(savedName(name.slice(group.length)));
    top = Math.max(top, largest(expected));
    if (actual !== undefined) error = worse(error, largestError(actual, expected));
    else if (largest(expected) > 0) missing.push(name);
  }
  const quantity = `gradients ${group === "" ? "task + density ε=1e-3" : group.slice(0, -1)} (${names.length} tensors)`;
  return missing.length > 0 ? { quantity, error: Number.NaN, tolerance: share * top, note: `missing: ${missing.join(", ")}` } : { quantity, error, tolerance: share * top };
}

/** The larger error; NaN is the largest. */
const worse = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b));
