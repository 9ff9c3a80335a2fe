import { adamW, ops } from "@deft-js/core";
import { quantileOf } from "./calibration.ts";

/** What a layer's predictor is trained on: inputs of the MLP block, and which neurons each made active. */
export interface Observations {
  readonly tokens: number;
  readonly dModel: number;
  readonly dFf: number;
  /** [tokens, dModel]. */
  readonly inputs: Float32Array;
  /** [tokens, dFf], 1 = active. */
  readonly active: Uint8Array;
}

/** How a predictor is trained. */
export interface PredictorTraining {
  readonly path: string;
  readonly rank: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly recall: number;
  readonly rng: ops.Rng;
}

/** What the held-back tokens say of a predictor. */
export interface PredictorQuality {
  /** Share of the active neurons that are predicted. */
  readonly recall: number;
  /** Share of all neurons that are predicted, and so computed. */
  readonly computed: number;
  /** Share that is active. */
  readonly active: number;
}

/** Tokens of an optimizer step. */
const BATCH = 256;
/** Scores are far from this: s/(s + TINY) is 1 for a positive one and 0 for 0. */
const TINY = 1e-30;

/**
 * Predicts from an MLP block's input x which of its neurons will be active: those with x·A·B + b > c (Deja Vu, Liu et al., 2023, arXiv:2310.17157, section 4). Owns its
 * variables.
 */
export class Predictor {
  /** A [dModel, rank], B [rank, dFf], b [dFf]. */
  readonly variables: readonly [ops.Variable, ops.Variable, ops.Variable];
  #cutoff = 0;

  constructor({ path, rank, rng }: Pick<PredictorTraining, "path" | "rank" | "rng">, { dModel, dFf, active }: Observations) {
    const of = (name: string, values: Float32Array, shape: readonly number[]): ops.Variable => ops.Variable.from(`${path}.predictor.${name}`, values, shape);
    this.variables = [
      of("A", rng.normals(dModel * rank, 1 / Math.sqrt(dModel)), [dModel, rank]),
      of("B", rng.normals(rank * dFf, 1 / Math.sqrt(rank)), [rank, dFf]),
      of("b", logRates(active, dFf), [dFf]),
    ];
  }

  /** s = x·A·B + b, [..., dFf]. */
  scores(x: ops.Tensor): ops.Tensor {
    const [a, b, bias] = this.variables;
    return ops.linear(ops.linear(x, a.value), b.value, { bias: bias.value });
  }

  /** 1 where a neuron is predicted active and 0 elsewhere, [..., dFf]. */
  predict(x: ops.Tensor): ops.Tensor {
    const above = ops.relu(ops.sub(this.scores(x), ops.scalar(this.#cutoff)));
    return ops.div(above, ops.add(above, ops.scalar(TINY)));
  }

  /** Minimises the mean over tokens and neurons of softplus(s) − t·s, t = 1 for an active neuron: the binary cross entropy of σ(s). */
  train({ steps, learningRate, rng }: Pick<PredictorTraining, "steps" | "learningRate" | "rng">, { tokens, dModel, dFf, inputs, active }: Observations): void {
    const optimizer = adamW({ learningRate, weightDecay: 0 }).create(this.variables, steps);
    const size = Math.min(BATCH, tokens);
    for (let step = 0; step < steps; step++)
      ops.scope(() => {
        const rows = Array.from({ length: size }, () => rng.integer(tokens));
        const x = ops.tensor(gathered(inputs, rows, dModel), [size, dModel]);
        const t = ops.tensor(gathered(active, rows, dFf), [size, dFf]);
        const { gradients } = ops.valueAndGradients(() => binaryCrossEntropy(this.scores(x), t), this.variables);
        optimizer.update(gradients, step);
      });
    optimizer.dispose();
  }

  /** Lays the cutoff so that the share `recall` of the active neurons lies above it. */
  calibrate(recall: number, held: Observations): PredictorQuality {
    const scores = ops.scope(() => ops.read(this.scores(ops.tensor(held.inputs, [held.tokens, held.dModel]))));
    const ofActive = scores.filter((_, i) => held.active[i] === 1).sort();
    // just below the lowest score that is to be found, since a score must be above the cutoff
    const lowest = ofActive[Math.min(ofActive.length - 1, Math.floor((1 - recall) * ofActive.length))];
    this.#cutoff = lowest === undefined ? quantileOf(scores.slice().sort(), 1) : lowest - Math.max(1e-6, Math.abs(lowest) * 1e-6);
    const above = (values: Float32Array): number => values.reduce((count, score) => count + Number(score > this.#cutoff), 0);
    return { recall: ofActive.length === 0 ? 1 : above(ofActive) / ofActive.length, computed: above(scores) / scores.length, active: ofActive.length / scores.length };
  }

  dispose(): void {
    for (const variable of this.variables) variable.dispose();
  }
}

/** mean of softplus(s) − t·s with softplus(s) = max(s, 0) + ln(1 + e^−|s|). */
export function binaryCrossEntropy(scores: ops.Tensor, targets: ops.Tensor): ops.Tensor {
  const softplus = ops.add(ops.relu(scores), ops.log(ops.add(ops.exp(ops.neg(ops.abs(scores))), ops.scalar(1))));
  return ops.mean(ops.sub(softplus, ops.mul(targets, scores)));
}

/** ln(p/(1 − p)) of each neuron's rate p, kept off 0 and 1 by one imagined token of each kind. */
function logRates(active: Uint8Array, dFf: number): Float32Array {
  const tokens = active.length / dFf;
  const counts = new Float32Array(dFf);
  for (let i = 0; i < active.length; i++) counts[i % dFf] = (counts[i % dFf] as number) + (active[i] as number);
  return counts.map((count) => Math.log((count + 1) / (tokens - count + 1)));
}

function gathered(values: Float32Array | Uint8Array, rows: readonly number[], width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) out.set(values.subarray(row * width, (row + 1) * width), i * width);
  return out;
}
