import {
  abs, activation, add, attention, broadcastTo, clip, concat, crossEntropy, densityPenalty, div, dropout, embedding, exp, intTensor, keeps, layerNorm, linear, log, lowRank,
  matMul, mean, meanSquaredError, mul, neg, positionWeights, reshape, rmsNorm, scale, slice, softmax, sqrt, square, sub, sum, tensor, transpose, type ActivationKind, type Tensor,
} from "@deft-js/tensor";
import * as ref from "./reference.ts";
import type { Values } from "./reference.ts";
import { extremeCases } from "./extreme-cases.ts";
import { quantizedCases } from "./quantized-cases.ts";
import type { OpCase } from "./run.ts";
import { selectedCases, sparseCases } from "./sparse-cases.ts";

type Tensors = Readonly<Record<string, Tensor>>;
const t = (inputs: Tensors, name: string): Tensor => inputs[name] as Tensor;
const v = (inputs: Readonly<Record<string, Values>>, name: string): Values => inputs[name] as Values;

const KINDS: readonly ActivationKind[] = ["relu", "gelu", "gelu_new", "silu", "tanh", "sigmoid"];
/** [rows, dIn, dOut]: one row, multiples of the vector width, odd ones, and larger than a tile. */
const LINEAR_SIZES = [[1, 1, 1], [1, 5, 3], [3, 7, 9], [16, 16, 32], [17, 33, 19], [2, 0, 3]] as const;

function linearCases(): OpCase[] {
  const plain = LINEAR_SIZES.flatMap(([m, k, n]) =>
    [false, true].map((transposed): OpCase => ({
      name: `linear ${m}×${k}×${n}${transposed ? " transposed" : ""}`,
      inputs: { x: [m, k], w: transposed ? [n, k] : [k, n], b: [n] },
      op: (i) => linear(t(i, "x"), t(i, "w"), { bias: t(i, "b"), transposed }),
      reference: (i) => ref.linear(v(i, "x"), transposed ? ref.transpose(v(i, "w"), n, k) : v(i, "w"), v(i, "b"), [m, k, n]),
    })),
  );
  const activated = KINDS.map((kind): OpCase => ({
    name: `linear with ${kind}`,
    inputs: { x: [2, 3, 6], w: [6, 17], b: [17] },
    op: (i) => linear(t(i, "x"), t(i, "w"), { bias: t(i, "b"), activation: kind }),
    reference: (i) => ref.linear(v(i, "x"), v(i, "w"), v(i, "b"), [6, 6, 17]).map((z) => ref.activation(z, kind)),
  }));
  const low: OpCase = {
    name: "lowRank",
    inputs: { x: [2, 5, 7], base: [2, 5, 9], down: [7, 3], up: [3, 9] },
    op: (i) => lowRank(t(i, "x"), t(i, "base"), { down: t(i, "down"), up: t(i, "up"), scale: 1.5 }),
    reference: (i) => ref.matMul(ref.matMul(v(i, "x"), v(i, "down"), 10, 7, 3), v(i, "up"), 10, 3, 9).map((z, j) => z * 1.5 + (v(i, "base")[j] as number)),
  };
  const product: OpCase = {
    name: "matMul with a broadcast batch",
    inputs: { a: [2, 3, 4], b: [4, 5] },
    op: (i) => matMul(t(i, "a"), reshape(t(i, "b"), [1, 4, 5])),
    reference: (i) => ref.matMul(v(i, "a"), v(i, "b"), 6, 4, 5),
  };
  const crossed: OpCase = {
    name: "matMul of two batches that both broadcast",
    inputs: { a: [1, 2, 2, 3], b: [3, 1, 3, 2] },
    op: (i) => matMul(t(i, "a"), t(i, "b")),
    reference: (i) => [0, 1, 2].flatMap((r) => [0, 1].flatMap((s) => ref.matMul(v(i, "a").slice(6 * s, 6 * s + 6), v(i, "b").slice(6 * r, 6 * r + 6), 2, 3, 2))),
  };
  // the gradient by y is the first part of that by h, to which the branch adds its own: the linear layer, which comes later, must still see that by y
  const shared: OpCase = {
    name: "linear layers and a low-rank branch beside a residual",
    inputs: { x: [2, 5, 7], w: [7, 7], u: [7, 7], down: [7, 3], up: [3, 7] },
    op: (i) => {
      const h = scale(t(i, "x"), 1);
      const z = linear(h, t(i, "u"), { transposed: true });
      const y = add(h, lowRank(h, linear(h, t(i, "w")), { down: t(i, "down"), up: t(i, "up"), scale: 1.5 }));
      return add(mul(y, y), z);
    },
    reference: (i) => {
      const low = ref.matMul(ref.matMul(v(i, "x"), v(i, "down"), 10, 7, 3), v(i, "up"), 10, 3, 7);
      const y = ref.matMul(v(i, "x"), v(i, "w"), 10, 7, 7).map((z, j) => z + 1.5 * (low[j] as number) + (v(i, "x")[j] as number));
      return ref.matMul(v(i, "x"), ref.transpose(v(i, "u"), 7, 7), 10, 7, 7).map((z, j) => z + (y[j] as number) ** 2);
    },
  };
  return [...plain, ...activated, low, product, crossed, shared];
}

function activationCases(): OpCase[] {
  return KINDS.flatMap((kind) =>
    [[3], [5, 33]].map((shape): OpCase => ({
      name: `${kind} ${shape.join("×")}`,
      inputs: { x: shape },
      op: (i) => activation(t(i, "x"), kind),
      reference: (i) => v(i, "x").map((x) => ref.activation(x, kind)),
    })),
  );
}

function densityCases(): OpCase[] {
  const weights = [0.1, 0, 0.3, 0.2, 0.05, 0];
  const w = (): Tensor => tensor(weights, [2, 3]);
  const plain = [1, 1e-3].map((epsilon): OpCase => ({
    name: `densityPenalty ε=${epsilon}`,
    inputs: { a: [2, 3, 17] },
    op: (i) => densityPenalty(t(i, "a"), { epsilon, weights: w() }),
    reference: (i) => ref.densityPenalty(v(i, "a"), weights, epsilon, 2),
  }));
  const under = KINDS.map((kind): OpCase => ({
    name: `densityPenalty under ${kind}, beside another use of the activation`,
    inputs: { x: [2, 3, 5], u: [2, 3, 5] },
    op: (i) => {
      const a = activation(t(i, "x"), kind);
      return add(densityPenalty(a, { epsilon: 0.05, weights: w() }), sum(mul(a, t(i, "u")), { axes: [1, 2] }));
    },
    reference: (i) => {
      const a = v(i, "x").map((x) => ref.activation(x, kind));
      const used = [0, 1].map((b) => a.slice(b * 15, b * 15 + 15).reduce((s, y, j) => s + y * (v(i, "u")[b * 15 + j] as number), 0));
      return ref.densityPenalty(a, weights, 0.05, 2).map((p, b) => p + (used[b] as number));
    },
  }));
  const alone: OpCase = {
    name: "densityPenalty under gelu, the only use of the activation",
    inputs: { x: [2, 3, 5], w: [5, 7] },
    op: (i) => densityPenalty(linear(t(i, "x"), t(i, "w"), { activation: "gelu" }), { epsilon: 0.05, weights: w() }),
    reference: (i) => ref.densityPenalty(ref.matMul(v(i, "x"), v(i, "w"), 6, 5, 7).map((z) => ref.activation(z, "gelu")), weights, 0.05, 2),
  };
  const twice: OpCase = {
    name: "densityPenalty under gelu, twice",
    inputs: { x: [2, 3, 5] },
    op: (i) => {
      const a = activation(t(i, "x"), "gelu");
      return add(densityPenalty(a, { epsilon: 0.05, weights: w() }), densityPenalty(a, { epsilon: 0.5, weights: w() }));
    },
    reference: (i) => {
      const a = v(i, "x").map((x) => ref.activation(x, "gelu"));
      return ref.densityPenalty(a, weights, 0.05, 2).map((p, b) => p + (ref.densityPenalty(a, weights, 0.5, 2)[b] as number));
    },
  };
  const masks = { "with padding": [1, 1, 0, 1, 1, 1], "with an example that has none": [0, 0, 0, 1, 0, 1], "of parts": [0.5, 0.25, 0, 1, 0.5, 2] };
  const shares = Object.entries(masks).map(([name, mask]): OpCase => ({
    name: `positionWeights ${name}`,
    inputs: { x: [2, 3] },
    op: (i) => mul(t(i, "x"), positionWeights(tensor(mask, [2, 3]), 7)),
    reference: (i) => ref.positionWeights(mask, 7, 3).map((w, j) => w * (v(i, "x")[j] as number)),
  }));
  const long: OpCase = {
    name: "positionWeights of many positions",
    inputs: { mask: [3, 300] },
    op: (i) => positionWeights(t(i, "mask"), 5),
    reference: (i) => ref.positionWeights(v(i, "mask"), 5, 300),
    gradient: false,
  };
  return [...plain, ...under, alone, twice, ...shares, long];
}

function normCases(): OpCase[] {
  return [4, 33].flatMap((n): OpCase[] => [
    {
      name: `layerNorm ${n}`,
      inputs: { x: [2, 3, n], gamma: [n], beta: [n] },
      op: (i) => layerNorm(t(i, "x"), { gamma: t(i, "gamma"), beta: t(i, "beta"), epsilon: 1e-12 }),
      reference: (i) => ref.norm(v(i, "x"), v(i, "gamma"), v(i, "beta"), 1e-12),
    },
    {
      name: `layerNorm ${n} with residual`,
      inputs: { x: [2, 3, n], r: [2, 3, n], gamma: [n], beta: [n] },
      op: (i) => layerNorm(t(i, "x"), { gamma: t(i, "gamma"), beta: t(i, "beta"), epsilon: 1e-5, residual: t(i, "r") }),
      reference: (i) => ref.norm(v(i, "x").map((x, j) => x + (v(i, "r")[j] as number)), v(i, "gamma"), v(i, "beta"), 1e-5),
    },
    {
      name: `rmsNorm ${n}`,
      inputs: { x: [2, 3, n], gamma: [n] },
      op: (i) => rmsNorm(t(i, "x"), { gamma: t(i, "gamma"), epsilon: 1e-6 }),
      reference: (i) => ref.norm(v(i, "x"), v(i, "gamma"), undefined, 1e-6),
    },
    // the gradient by h, the norm's input, begins with those of its other uses, and one of them is y's own
    ...[true, false].map((layer): OpCase => ({
      name: `${layer ? "layerNorm" : "rmsNorm"} ${n} beside its input`,
      inputs: { x: [2, 3, n], gamma: [n], beta: [n], u: [2, 3, n] },
      op: (i) => {
        const h = scale(t(i, "x"), 1);
        const [gamma, beta] = [t(i, "gamma"), t(i, "beta")];
        return add(add(h, layer ? layerNorm(h, { gamma, beta, epsilon: 1e-6 }) : add(rmsNorm(h, { gamma, epsilon: 1e-6 }), beta)), mul(h, t(i, "u")));
      },
      reference: (i) => ref.norm(v(i, "x"), v(i, "gamma"), layer ? v(i, "beta") : undefined, 1e-6).map((z, j) => {
        const x = v(i, "x")[j] as number;
        return z + (layer ? 0 : (v(i, "beta")[j % n] as number)) + x + x * (v(i, "u")[j] as number);
      }),
    })),
  ]);
}

function attentionCases(): OpCase[] {
  const small = { batch: 2, queries: 3, keys: 3, heads: 2, dHead: 4, scale: 0.5 };
  const cases: Readonly<Record<string, ref.AttentionCase & { bias?: number }>> = {
    plain: small,
    "one query, odd sizes": { ...small, queries: 1, keys: 5, heads: 3, dHead: 3 },
    "longer than a tile": { batch: 1, queries: 19, keys: 37, heads: 1, dHead: 5, scale: 0.4 },
    "with padding": { ...small, mask: [1, 1, 0, 1, 0, 0] },
    causal: { ...small, causal: true },
    "causal, more keys than queries": { ...small, keys: 5, causal: true, mask: [1, 1, 1, 1, 1, 0, 1, 1, 1, 1] },
    "with a shared bias": { ...small, bias: 1 },
    "with a bias for each example": { ...small, bias: 2, mask: [1, 1, 1, 1, 1, 0] },
    "with dropout": { ...small, dropout: { probability: 0.3, seed: 5 } },
  };
  // Such a row has the gradient of a uniform softmax in float32 (the mask absorbs the score) and none in float64: its value alone is compared.
  const masked: OpCase = {
    name: "attention with a row whose keys are all masked",
    inputs: { v: [2, 3, 8] },
    op: (i) => attention(t(i, "v"), t(i, "v"), t(i, "v"), { ...small, mask: tensor([0, 0, 0, 0, 0, 0], [2, 3]) }),
    reference: (i) => ref.attention(v(i, "v"), v(i, "v"), v(i, "v"), undefined, { ...small, mask: [0, 0, 0, 0, 0, 0] }),
    gradient: false,
  };
  const rest = Object.entries(cases).map(([name, c]): OpCase => {
    const width = c.heads * c.dHead;
    const shapes = { q: [c.batch, c.queries, width], k: [c.batch, c.keys, width], v: [c.batch, c.keys, width] };
    return {
      name: `attention ${name}`,
      inputs: c.bias === undefined ? shapes : { ...shapes, bias: [c.bias, c.heads, c.queries, c.keys] },
      op: (i) =>
        attention(t(i, "q"), t(i, "k"), t(i, "v"), {
          heads: c.heads, scale: c.scale, causal: c.causal ?? false, dropout: c.dropout, bias: i["bias"],
          mask: c.mask === undefined ? undefined : tensor(c.mask, [c.batch, c.keys]),
        }),
      reference: (i) => ref.attention(v(i, "q"), v(i, "k"), v(i, "v"), i["bias"], c),
    };
  });
  const empty = { "no example": [0, 3, 3], "no query": [2, 0, 3], "no key": [2, 3, 0] } as const;
  const without = Object.entries(empty).map(([name, [batch, queries, keys]]): OpCase => ({
    name: `attention with ${name}`,
    inputs: { q: [batch, queries, 8], k: [batch, keys, 8], v: [batch, keys, 8], bias: [1, 2, queries, keys] },
    op: (i) => attention(t(i, "q"), t(i, "k"), t(i, "v"), { heads: 2, scale: 0.5, bias: i["bias"] }),
    reference: () => Array<number>(batch * queries * 8).fill(0),
  }));
  return [...rest, masked, ...without];
}

function lossCases(): OpCase[] {
  const labels = [2, -100, 0, 4];
  const targets = [0.5, -1, 2];
  return [
    {
      name: "crossEntropy with an ignored row",
      inputs: { x: [4, 5] },
      op: (i) => reshape(crossEntropy(t(i, "x"), intTensor(labels, [4])), [1]),
      reference: (i) => ref.crossEntropy(v(i, "x"), labels, -100),
    },
    {
      name: "crossEntropy where the ignored label is a class",
      inputs: { x: [4, 5] },
      op: (i) => reshape(crossEntropy(t(i, "x"), intTensor([2, 0, 0, 4], [4]), { ignoreIndex: 0 }), [1]),
      reference: (i) => ref.crossEntropy(v(i, "x"), [2, 0, 0, 4], 0),
    },
    {
      name: "meanSquaredError",
      inputs: { x: [3] },
      op: (i) => reshape(meanSquaredError(t(i, "x"), tensor(targets, [3])), [1]),
      reference: (i) => v(i, "x").reduce((s, x, j) => s + (x - (targets[j] as number)) ** 2, 0) / 3,
    },
    {
      name: "embedding with repeated ids",
      inputs: { table: [5, 3] },
      op: (i) => embedding(t(i, "table"), intTensor([1, 4, 1, 0], [2, 2])),
      reference: (i) => [1, 4, 1, 0].flatMap((id) => v(i, "table").slice(id * 3, id * 3 + 3)),
    },
    {
      name: "embedding of a table of one row",
      inputs: { table: [1, 3] },
      op: (i) => embedding(t(i, "table"), intTensor([0, 0], [2])),
      reference: (i) => [...v(i, "table"), ...v(i, "table")],
    },
    {
      name: "dropout",
      inputs: { x: [7, 19] },
      op: (i) => dropout(t(i, "x"), { probability: 0.4, seed: 99 }),
      reference: (i) => v(i, "x").map((x, j) => (keeps(99, j, 0.4) ? x / 0.6 : 0)),
    },
  ];
}

const POSITIVE = [0.5, 1, 2, 3.5, 0.25, 4];

function elementwiseCases(): OpCase[] {
  const unary = (name: string, op: (x: Tensor) => Tensor, f: (x: number) => number, values?: Values): OpCase => ({
    name, inputs: { x: [2, 3] }, ...(values === undefined ? {} : { values: { x: values } }), op: (i) => op(t(i, "x")), reference: (i) => v(i, "x").map(f),
  });
  const binary = (name: string, op: (a: Tensor, b: Tensor) => Tensor, f: (a: number, b: number) => number): OpCase => ({
    name: `${name} with broadcasting`, inputs: { a: [2, 2, 3], b: [2, 1] }, values: { b: [1.5, -2] },
    op: (i) => op(t(i, "a"), t(i, "b")), reference: (i) => v(i, "a").map((a, j) => f(a, v(i, "b")[Math.floor(j / 3) % 2] as number)),
  });
  return [
    binary("add", add, (a, b) => a + b), binary("sub", sub, (a, b) => a - b), binary("mul", mul, (a, b) => a * b), binary("div", div, (a, b) => a / b),
    unary("neg", neg, (x) => -x), unary("square", square, (x) => x * x), unary("exp", exp, Math.exp), unary("log", log, Math.log, POSITIVE), unary("sqrt", sqrt, Math.sqrt, POSITIVE),
    unary("abs", abs, Math.abs), unary("scale", (x) => scale(x, -1.25), (x) => -1.25 * x), unary("clip", (x) => clip(x, -0.5, 0.5), (x) => Math.min(0.5, Math.max(-0.5, x))),
  ];
}

function shapeCases(): OpCase[] {
  return [
    { name: "transpose", inputs: { x: [2, 3, 4] }, op: (i) => transpose(t(i, "x"), [2, 0, 1]), reference: (i) => Array.from({ length: 24 }, (_, j) => v(i, "x")[(j % 6) * 4 + Math.floor(j / 6)] as number) },
    { name: "slice", inputs: { x: [3, 4] }, op: (i) => slice(t(i, "x"), [1, 1], [2, 2]), reference: (i) => [5, 6, 9, 10].map((j) => v(i, "x")[j] as number) },
    { name: "concat", inputs: { a: [2, 1], b: [2, 2] }, op: (i) => concat([t(i, "a"), t(i, "b")], 1), reference: (i) => [0, 1].flatMap((r) => [...v(i, "a").slice(r, r + 1), ...v(i, "b").slice(2 * r, 2 * r + 2)]) },
    { name: "concat along the last axis", inputs: { a: [2, 1], b: [2, 2] }, op: (i) => concat([t(i, "a"), t(i, "b")], -1), reference: (i) => [0, 1].flatMap((r) => [...v(i, "a").slice(r, r + 1), ...v(i, "b").slice(2 * r, 2 * r + 2)]) },
    { name: "broadcastTo", inputs: { x: [1, 3] }, op: (i) => broadcastTo(t(i, "x"), [2, 2, 3]), reference: (i) => [0, 1, 2, 3].flatMap(() => v(i, "x")) },
    { name: "sum over an inner axis", inputs: { x: [2, 3, 2] }, op: (i) => sum(t(i, "x"), { axes: [1] }), reference: (i) => [0, 1, 6, 7].map((j) => [0, 2, 4].reduce((s, o) => s + (v(i, "x")[j + o] as number), 0)) },
    { name: "mean of all", inputs: { x: [2, 3] }, op: (i) => mean(t(i, "x")), reference: (i) => v(i, "x").reduce((s, x) => s + x, 0) / 6 },
    { name: "sum of nothing", inputs: { x: [0] }, op: (i) => reshape(sum(t(i, "x")), [1]), reference: () => [0] },
    { name: "layerNorm of no row", inputs: { x: [0, 3], gamma: [3], beta: [3] }, op: (i) => layerNorm(t(i, "x"), { gamma: t(i, "gamma"), beta: t(i, "beta"), epsilon: 1e-5 }), reference: () => [] },
    { name: "softmax", inputs: { x: [3, 7] }, op: (i) => softmax(t(i, "x")), reference: (i) => ref.softmax(v(i, "x"), 7) },
  ];
}

/** Every op with a gradient, on sizes that catch vector tails, tiles, padding and broadcasting. */
export function opCases(): readonly OpCase[] {
  return [...linearCases(), ...quantizedCases(), ...sparseCases(), ...selectedCases(), ...activationCases(), ...densityCases(), ...normCases(), ...attentionCases(), ...lossCases(), ...elementwiseCases(), ...shapeCases(), ...extremeCases()];
}
