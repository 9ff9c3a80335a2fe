import { ops } from "@deft-js/core";
import { arrays, json, values, type Arrays } from "./fixture.ts";
import { entryByEntry, largestError, relativeToLargest, type Line } from "./report.ts";

interface Expected {
  readonly adamw: { lr: number; weight_decay: number; betas: [number, number]; eps: number; p0: number[]; grads: number[][]; p_after_each_step: number[][] };
  readonly linear_schedule: { lr: number; num_warmup_steps: number; num_training_steps: number; lr_at_step: number[] };
}

const GRIDS = ["coarse", "fine_negative", "special"];
const KINDS = ["gelu", "gelu_new", "relu", "silu", "tanh"] as const;

/** The peer's numbers for single functions. */
export async function checkNumerics(folder: string): Promise<Line[]> {
  const expected = await arrays(folder, "expected.safetensors");
  const scalars = await json<Expected>(folder, "expected.json");
  return [...activations(expected), ...densities(expected), ...softmaxes(expected), ...norms(expected), ...crossEntropies(expected), adamW(scalars)];
}

/** f(x) and f′(x) for a function of one tensor. */
function valueAndSlope(f: (x: ops.Tensor) => ops.Tensor, x: Float32Array, shape: readonly number[], total: (y: ops.Tensor) => ops.Tensor = ops.sum): [Float32Array, Float32Array] {
  const variable = ops.Variable.from("x", x, shape);
  const found = ops.scope((): [Float32Array, Float32Array] => {
    const y = ops.read(f(variable.value));
    const { gradients } = ops.valueAndGradients(() => total(f(variable.value)), [variable]);
    return [y, ops.read(gradients.get("x") as ops.Tensor)];
  });
  variable.dispose();
  return found;
}

function activations(expected: Arrays): Line[] {
  return GRIDS.flatMap((grid) =>
    KINDS.flatMap((kind) => {
      const x = values(expected, `${grid}.x`);
      const [y, slope] = valueAndSlope((t) => ops.activation(t, kind), x, [x.length]);
      const lines = [
        entryByEntry(`${grid}.${kind}`, y, values(expected, `${grid}.${kind}`), 1e-6, 1e-6),
        slopeLine(`${grid}.${kind}.grad`, x, slope, values(expected, `${grid}.${kind}.grad`)),
      ];
      const zeros = expected.get(`${grid}.${kind}.is_zero`)?.values;
      if (zeros !== undefined) lines.push({ quantity: `${grid}.${kind}: exact zeros`, error: y.reduce((n, v, i) => n + ((v === 0) === (zeros[i] === 1) ? 0 : 1), 0), tolerance: 0, note: "places that differ" });
      return lines;
    }),
  );
}

/** The peer's tanh form is NaN at |x| > 1e30, where the derivative is 0 or 1: those places are left out. */
function slopeLine(quantity: string, x: Float32Array, ours: Float32Array, theirs: Float32Array): Line {
  const kept = (of: Float32Array): number[] => [...of].filter((_, i) => !(Number.isNaN(theirs[i]) && Math.abs(x[i] as number) > 1e30));
  return entryByEntry(quantity, kept(ours), kept(theirs), 2e-6, 2e-6);
}

function densities(expected: Arrays): Line[] {
  const x = values(expected, "density.x");
  const epsilons = [...expected.keys()].flatMap((name) => /^density\.eps(.+)\.value$/.exec(name)?.[1] ?? []);
  return epsilons.flatMap((epsilon) => {
    const each = ops.ones([x.length, 1]);
    const penalty = (t: ops.Tensor): ops.Tensor => ops.densityPenalty(ops.reshape(t, [x.length, 1, 1]), { epsilon: Number(epsilon), weights: each });
    const [value, slope] = valueAndSlope(penalty, x, [x.length]);
    return [
      entryByEntry(`density.eps${epsilon}.value`, value, values(expected, `density.eps${epsilon}.value`), 1e-5, 1e-6),
      relativeToLargest(`density.eps${epsilon}.grad`, slope, values(expected, `density.eps${epsilon}.grad`), 1e-5),
    ];
  });
}

/** Masked softmax through the attention op itself: q·k = 0, the scores are the bias, and v is the identity. */
function softmaxes(expected: Arrays): Line[] {
  const probabilities = (scores: string, mask: Float32Array, causal: boolean): Float32Array => {
    const [batch = 0, heads = 0, queries = 0, keys = 0] = expected.get(scores)?.shape ?? [];
    const identity = Float32Array.from({ length: batch * keys * heads * keys }, (_, i) => (i % keys === Math.floor(i / (heads * keys)) % keys ? 1 : 0));
    return ops.scope(() => {
      const zero = (rows: number): ops.Tensor => ops.zeros([batch, rows, heads * keys]);
      const context = ops.attention(zero(queries), zero(keys), ops.tensor(identity, [batch, keys, heads * keys]), {
        heads, scale: 1, causal, mask: ops.tensor(mask, [batch, keys]), bias: ops.tensor(values(expected, scores), [batch, heads, queries, keys]),
      });
      return ops.read(ops.transpose(ops.reshape(context, [batch, queries, heads, keys]), [0, 2, 1, 3]));
    });
  };
  const mask = values(expected, "softmax.attention_mask");
  const causalMask = values(expected, "softmax.causal.attention_mask");
  return [
    relativeToLargest("softmax.bert", probabilities("softmax.scores", mask, false), values(expected, "softmax.bert"), 1e-6),
    relativeToLargest("softmax.bert_all_masked", probabilities("softmax.scores", new Float32Array(mask.length), false), values(expected, "softmax.bert_all_masked"), 1e-6),
    relativeToLargest("softmax.causal.t5", probabilities("softmax.causal.scores", causalMask, true), values(expected, "softmax.causal.t5"), 1e-6),
    relativeToLargest("softmax.opt", probabilities("softmax.causal.scores", values(expected, "softmax.opt.attention_mask"), true), values(expected, "softmax.opt"), 1e-6),
  ];
}

function norms(expected: Arrays): Line[] {
  const shape = expected.get("norm.x")?.shape ?? [];
  const x = values(expected, "norm.x");
  const gamma = ops.tensor(values(expected, "norm.weight"), [values(expected, "norm.weight").length]);
  const beta = ops.tensor(values(expected, "norm.bias"), [values(expected, "norm.bias").length]);
  const squares = (y: ops.Tensor): ops.Tensor => ops.sum(ops.square(y));
  const layer = (epsilon: number) => (t: ops.Tensor): ops.Tensor => ops.layerNorm(t, { gamma, beta, epsilon });
  const both = (name: string, f: (t: ops.Tensor) => ops.Tensor, value: string): Line[] => {
    const [y, slope] = valueAndSlope(f, x, shape, squares);
    return [relativeToLargest(value, y, values(expected, value), 1e-5), relativeToLargest(`${name}.grad_x_of_sum_y2`, slope, values(expected, `${name}.grad_x_of_sum_y2`), 1e-5)];
  };
  return [
    ...both("layernorm.eps1e-12", layer(1e-12), "layernorm.eps1e-12"),
    ...both("layernorm.eps1e-05", layer(1e-5), "layernorm.eps1e-05"),
    ...both("rmsnorm", (t) => ops.rmsNorm(t, { gamma, epsilon: 1e-6 }), "rmsnorm.eps1e-6"),
  ];
}

function crossEntropies(expected: Arrays): Line[] {
  const [n = 0, c = 0] = expected.get("ce.logits")?.shape ?? [];
  const loss = (labels: Int32Array): Float32Array => ops.scope(() => ops.read(ops.crossEntropy(ops.tensor(values(expected, "ce.logits"), [n, c]), ops.intTensor(labels, [n]))));
  return [
    { quantity: "ce.mean_ignore_-100", error: largestError(loss(Int32Array.from(values(expected, "ce.labels"))), values(expected, "ce.mean_ignore_-100")), tolerance: 2e-6 },
    { quantity: "ce.all_ignored_is_nan", error: largestError(loss(new Int32Array(n).fill(-100)), values(expected, "ce.all_ignored_is_nan")), tolerance: 0 },
  ];
}

function adamW({ adamw }: Expected): Line {
  const size = [adamw.p0.length];
  const variable = (path: string, from: number[]): ops.Variable => ops.Variable.from(path, Float32Array.from(from), size);
  const parameter = { value: variable("p", adamw.p0), first: variable("m", adamw.p0.map(() => 0)), second: variable("v", adamw.p0.map(() => 0)) };
  const ours = adamw.grads.flatMap((gradient, i) => {
    ops.scope(() => ops.adamWStep(parameter, ops.tensor(gradient, size), { learningRate: adamw.lr, beta1: adamw.betas[0], beta2: adamw.betas[1], epsilon: adamw.eps, weightDecay: adamw.weight_decay, step: i + 1 }));
    return [...parameter.value.data()];
  });
  return { quantity: "adamw, five steps", error: largestError(ours, adamw.p_after_each_step.flat()), tolerance: 1e-6 };
}
