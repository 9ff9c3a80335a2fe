import { LOSS_TERM, ops, type Batch, type ForwardResult, type Kernel, type LossTerm, type Model, type Weight } from "@deft-js/core";
import { build, savedName, type Built } from "./build.ts";
import { arrays, has, json, toBatch, toHostBatch, values, type Arrays, type FixtureBatch } from "./fixture.ts";
import { generationLines, type ExpectedGeneration } from "./generation.ts";
import { fileValues } from "./quantization.ts";
import { entryByEntry, largest, largestError, relativeToLargest, type Line } from "./report.ts";

interface Expected extends ExpectedGeneration {
  readonly loss: number;
  readonly params_without_gradient?: readonly string[];
}

/** How far each quantity may be off for a fixture: float32's own noise, ten to twenty times. */
interface Tolerances {
  readonly loss: number;
  readonly outputs: number;
  readonly gradients: number;
  /** At ε = 1e-7, where one activation near 0 amplifies rounding. */
  readonly gradientsAtTinyEpsilon: number;
  /** Elements over the whole fixture whose exact zero may depend on rounding; a share of all where `meanDensity` says so. */
  readonly nonZeros: number;
  /** GELU's tanh form: hundreds of elements lie where float32 underflows, so the mean density is held instead of their number. */
  readonly meanDensity?: boolean;
}

function tolerancesOf({ model, attachment }: Built): Tolerances {
  const lowRank = attachment?.method.id === "lora";
  const clear = attachment === undefined || (model.family === "bert" && ["adapter", "prompt"].includes(attachment.method.id)); // no activation within rounding of GELU's threshold
  if (!["t5", "opt"].includes(model.family)) return { loss: 2e-6, outputs: 1e-5, gradients: 1e-4, gradientsAtTinyEpsilon: 2e-3, nonZeros: clear ? 0 : 2 };
  const gated = model.config["is_gated_act"] === true;
  return {
    loss: gated && lowRank ? 5e-5 : 2e-6,
    outputs: gated && lowRank ? 1e-4 : 2e-5,
    gradients: lowRank ? 3e-4 : 1e-4,
    gradientsAtTinyEpsilon: lowRank ? 3e-2 : 2e-3,
    ...(gated ? { nonZeros: 0.003, meanDensity: true } : { nonZeros: model.sites("activation").length }),
  };
}

/** The reference's density loss: padded positions count. */
export const referenceDensity = (kernel: Kernel, epsilon: number): LossTerm => kernel.create(LOSS_TERM, "density", { weight: 1, epsilon, padding: "include" });

/** Everything that a plain or PEFT fixture holds, beside our own. */
export async function checkModel(folder: string, kernel: Kernel): Promise<Line[]> {
  const built = await build(folder, kernel);
  const inputs = await json<FixtureBatch>(folder, "inputs.json");
  const batch = toBatch(inputs, built.model.config);
  const expected = await arrays(folder, "expected.safetensors");
  const tolerances = tolerancesOf(built);
  const lines = ops.scope(() => forwardLines(built.model, batch, expected, tolerances));
  const scalars = await json<Expected>(folder, "expected.json");
  const { loss } = scalars;
  const ours = ops.scope(() => ops.read(built.model.loss(built.model.forward(batch), batch))[0] as number);
  lines.unshift({ quantity: "loss", error: Math.abs(ours - loss), tolerance: tolerances.loss * Math.max(1, Math.abs(loss)) });
  for (const key of epsilonsOf(expected)) lines.push(densityLine(kernel, built.model, batch, expected, key));
  if (has(folder, "model_dequantized.safetensors")) lines.push(dequantizedLine(built.model, await arrays(folder, "model_dequantized.safetensors")));
  if (has(folder, "grads.safetensors")) lines.push(...(await gradientLines(folder, kernel, built, batch, tolerances)));
  if (built.model.decode !== undefined) lines.push(...(await generationLines(built.model, toHostBatch(inputs), batch, scalars, expected, tolerances.outputs)));
  built.attachment?.detach();
  built.model.dispose();
  return lines;
}

/** The quantized weights beside what the peer's forward pass used. */
function dequantizedLine(model: Model, theirs: Arrays): Line {
  const sites = model.sites("linear").filter(({ weight }) => weight?.encoding !== undefined);
  let [error, top] = [sites.length === 0 ? Number.NaN : 0, 0];
  for (const { path, weight } of sites) {
    const expected = values(theirs, `${path}.weight`);
    error = worse(error, largestError(fileValues(weight as Weight), expected));
    top = Math.max(top, largest(expected));
  }
  return { quantity: `dequantized weights (${sites.length} tensors)`, error, tolerance: 1e-7 * top };
}

/** How the fixtures call the stacks. */
const STACK = { encoder: "enc", decoder: "dec" } as const;
type Stack = keyof typeof STACK;

function forwardLines(model: Model, batch: Batch, expected: Arrays, tolerances: Tolerances): Line[] {
  const result = model.forward(batch, { activations: true, hiddenStates: true });
  const line = (name: string, value: ops.Tensor): Line[] => (expected.has(name) ? [relativeToLargest(name, ops.read(value), values(expected, name), tolerances.outputs)] : []);
  const stateNames = (["enc", "dec"] as const).flatMap((stack) => [...expected.keys()].filter((name) => name.startsWith(`hidden_states.${stack}.`)).sort(byNumber));
  return [
    ...line("logits", result.logits),
    ...(stateNames.length === result.hiddenStates.length ? stateNames.flatMap((name, i) => line(name, result.hiddenStates[i] as ops.Tensor)) : []),
    ...result.activations.flatMap(({ stack, layer, value }) => line(`mlp_act.${STACK[stack]}.${layer}`, value)),
    ...(Object.keys(STACK) as Stack[]).flatMap((stack) => nonZeroLine(result, stack, expected, tolerances)),
  ];
}

const byNumber = (a: string, b: string): number => Number(a.split(".").at(-1)) - Number(b.split(".").at(-1));

/** Exact non-zeros of each example and layer of a stack: the error is the number of elements that differ, or the mean density's. */
function nonZeroLine({ activations }: ForwardResult, stack: Stack, expected: Arrays, { nonZeros, meanDensity = false }: Tolerances): Line[] {
  const quantity = `density_count_nonzero.${STACK[stack]}`;
  if (!expected.has(quantity)) return [];
  const theirs = values(expected, quantity);
  const layers = activations.filter((activation) => activation.stack === stack);
  let [different, difference] = [0, 0];
  for (const [l, { value }] of layers.entries()) {
    const [batch = 0, seq = 0, width = 0] = value.shape;
    const a = ops.read(value);
    for (let b = 0; b < batch; b++) {
      const count = a.subarray(b * seq * width, (b + 1) * seq * width).reduce((n, x) => n + (x === 0 ? 0 : 1), 0);
      const off = count - Math.round((theirs[b * layers.length + l] as number) * seq * width);
      different += Math.abs(off);
      difference += off / (seq * width * theirs.length);
    }
  }
  return [{ quantity, error: meanDensity ? Math.abs(difference) : different, tolerance: nonZeros, note: meanDensity ? "of the mean" : "elements over the fixture" }];
}

const epsilonsOf = (expected: Arrays): string[] => [...expected.keys()].filter((name) => /^density_l0\.eps.*\.(enc|dec)$/.test(name));

/** The matrix [batch, layers] of the penalty, from the density plugin's own term over one example and one layer at a time. */
function densityLine(kernel: Kernel, model: Model, batch: Batch, expected: Arrays, key: string): Line {
  const [, epsilon, stack] = /eps(.+)\.(enc|dec)$/.exec(key) ?? [];
  const term = referenceDensity(kernel, Number(epsilon));
  const ours = ops.scope(() => {
    const result = model.forward(batch, { activations: true });
    const layers = result.activations.filter((activation) => STACK[activation.stack] === stack);
    const entry = (b: number, l: number): number => {
      const tapped = layers[l] as (typeof layers)[number];
      const [, seq = 0, width = 0] = tapped.value.shape;
      const one = { ...tapped, layer: 0, value: ops.slice(tapped.value, [b, 0, 0], [1, seq, width]), mask: ops.slice(tapped.mask, [b, 0], [1, seq]) };
      return ops.read(term.compute({ ...result, activations: [one] }, batch, { step: 0, totalSteps: 1, epoch: 0 }))[0] as number;
    };
    return Array.from({ length: batch.size * layers.length }, (_, i) => entry(Math.floor(i / layers.length), i % layers.length));
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
