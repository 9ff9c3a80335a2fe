/** The work of bench/torch_peer.py written with the toolkit's ops alone: BERT with LoRA or adapters and the density loss. */
import {
  add, adamWStep, attention, crossEntropy, densityPenalty, embedding, intTensor, layerNorm, linear, lowRank, mean, Rng, reshape, scale, scope, slice, sum, tensor, valueAndGradients, Variable, zeros, type Tensor,
} from "@deft-js/tensor";

/** Layers, hidden width, heads and MLP width. */
export const SIZES = { tiny: [2, 128, 2, 512], mini: [4, 256, 4, 1024], base: [12, 768, 12, 3072] } as const;

/** What to run. */
export interface Work {
  readonly size: keyof typeof SIZES;
  readonly method: "lora" | "adapter";
  readonly mode: "train" | "infer";
  readonly density: boolean;
  readonly batch: number;
  readonly seq: number;
}

const VOCABULARY = 30522;
const RANK = 8;

interface Dense {
  readonly weight: Tensor;
  readonly bias: Tensor;
}
interface Norm {
  readonly gamma: Tensor;
  readonly beta: Tensor;
}

class Weights {
  readonly trainable: Variable[] = [];
  readonly #rng = new Rng(1);

  frozen(shape: number[]): Tensor {
    const n = shape.reduce((size, d) => size * d, 1);
    return new Variable("", tensor(this.#rng.uniforms(n, 0.035), shape), { trainable: false }).value;
  }
  dense(dIn: number, dOut: number): Dense {
    return { weight: this.frozen([dIn, dOut]), bias: this.frozen([dOut]) };
  }
  norm(n: number): Norm {
    return { gamma: new Variable("", tensor(new Float32Array(n).fill(1), [n])).value, beta: this.frozen([n]) };
  }
  variable(shape: number[], deviation = 0.02): Variable {
    const n = shape.reduce((size, d) => size * d, 1);
    const made = new Variable(`v${this.trainable.length}`, tensor(this.#rng.normals(n, deviation), shape));
    this.trainable.push(made);
    return made;
  }
}

type Layer = (x: Tensor) => { x: Tensor; h: Tensor };

const dense = (x: Tensor, { weight, bias }: Dense, activation?: "gelu"): Tensor => linear(x, weight, { bias, activation, frozen: true });

function projection(w: Weights, n: number, lora: boolean): (x: Tensor) => Tensor {
  const base = w.dense(n, n);
  if (!lora) return (x) => dense(x, base);
  const [down, up] = [w.variable([n, RANK]), w.variable([RANK, n], 0)];
  return (x) => lowRank(x, dense(x, base), { down: down.value, up: up.value, scale: 2 });
}

function adapter(w: Weights, n: number): (x: Tensor) => Tensor {
  const [down, downBias, up, upBias] = [w.variable([n, n / 16]), w.variable([n / 16], 0), w.variable([n / 16, n]), w.variable([n], 0)];
  return (x) => linear(linear(x, down.value, { bias: downBias.value, activation: "relu" }), up.value, { bias: upBias.value });
}

function layer(w: Weights, [, width, heads, inner]: readonly number[], method: Work["method"]): Layer {
  const [n, h, i] = [width as number, heads as number, inner as number];
  const [q, k, v, o] = [projection(w, n, method === "lora"), projection(w, n, false), projection(w, n, method === "lora"), w.dense(n, n)];
  const [up, down, n1, n2] = [w.dense(n, i), w.dense(i, n), w.norm(n), w.norm(n)];
  const branch = method === "adapter" ? adapter(w, n) : undefined;
  return (x) => {
    const context = attention(q(x), k(x), v(x), { heads: h, scale: 1 / Math.sqrt(n / h) });
    const y = layerNorm(dense(context, o), { ...n1, epsilon: 1e-5, residual: x });
    const active = dense(y, up, "gelu");
    const z = dense(active, down);
    const out = branch === undefined ? z : add(branch(layerNorm(z, { ...n2, epsilon: 1e-5, residual: y })), z);
    return { x: layerNorm(out, { ...n2, epsilon: 1e-5, residual: y }), h: active };
  };
}

/** Builds the model and gives one step of the work: the loss for training, a logit for inference. */
export function buildStep({ size, method, mode, density, batch, seq }: Work): () => number {
  const shape = SIZES[size];
  const [count, n] = shape;
  const w = new Weights();
  const rng = new Rng(2);
  const keep = (t: Tensor): Tensor => new Variable("", t).value;
  const table = w.frozen([VOCABULARY, n]);
  const position = w.frozen([seq, n]);
  const first = w.norm(n);
  const layers = Array.from({ length: count }, () => layer(w, shape, method));
  const [head, headBias] = [w.variable([n, 2]), w.variable([2], 0)];
  const ids = keep(intTensor(Int32Array.from({ length: batch * seq }, () => rng.integer(VOCABULARY)), [batch, seq]));
  const labels = keep(intTensor(Int32Array.from({ length: batch }, () => rng.integer(2)), [batch]));
  const weights = keep(tensor(new Float32Array(batch * seq).fill(1 / (seq * (shape[3] as number))), [batch, seq]));
  const moments = w.trainable.map((v) => [new Variable("m", zeros(v.shape)), new Variable("v", zeros(v.shape))] as const);
  const forward = (): { logits: Tensor; penalties: Tensor[] } => {
    let x = layerNorm(add(embedding(table, ids), position), { ...first, epsilon: 1e-5 });
    const penalties: Tensor[] = [];
    for (const each of layers) {
      const made = each(x);
      x = made.x;
      if (density && mode === "train") penalties.push(densityPenalty(made.h, { epsilon: 1e-7, weights }));
    }
    const cls = reshape(slice(x, [0, 0, 0], [batch, 1, n]), [batch, n]);
    return { logits: linear(cls, head.value, { bias: headBias.value }), penalties };
  };
  const loss = (): Tensor => {
    const { logits, penalties } = forward();
    let total = crossEntropy(logits, labels);
    for (const p of penalties) total = add(total, scale(mean(p), 1 / count));
    return total;
  };
  if (mode === "infer") return () => scope(() => sum(forward().logits).dataSync()[0] as number);
  let step = 0;
  return () =>
    scope(() => {
      const { value, gradients } = valueAndGradients(loss, w.trainable);
      step++;
      w.trainable.forEach((v, i) => {
        const [m, s] = moments[i] as readonly [Variable, Variable];
        adamWStep({ value: v, first: m, second: s }, gradients.get(v.path) as Tensor, { learningRate: 3e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, step });
      });
      return value.dataSync()[0] as number;
    });
}
