import { output, runKernel } from "../run-kernel.ts";
import { differentiable, type InputGradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape, misfit } from "./check.ts";
import { dropoutFactors } from "./dropout.ts";

/** The most negative finite float32: what the reference adds at masked positions (not −∞). */
export const FLOAT_MIN = -3.4028234663852886e38;

/** Options of `attention`. */
export interface AttentionOptions {
  readonly heads: number;
  /** Factor of q·kᵀ: 1/√dHead for BERT, 1 for T5. */
  readonly scale: number;
  /** [batch, keys]: 1 = attend, 0 = padding. */
  readonly mask?: Tensor | undefined;
  /** Added to the scores, [1 or batch, heads, queries, keys]. */
  readonly bias?: Tensor | undefined;
  /** Query i sees keys j ≤ i + (keys − queries). */
  readonly causal?: boolean;
  /** Dropout of the attention probabilities. */
  readonly dropout?: { readonly probability: number; readonly seed: number } | undefined;
}

/**
 * softmax(scale·q·kᵀ + bias + mask)·v, head by head (Vaswani et al., 2017, equation 1). A row whose keys are all masked is
 * uniform over all of them, as in the reference. Where padding and order both mask, the sum is clamped at finfo.min: in such rows half of
 * a gradient passes a score that one of them masks (torch's rule for a tie), and none a score that both do. Without any query or key the context is 0.
 * @param q [batch, queries, heads·dHead]
 * @param k [batch, keys, heads·dHead]
 * @param v [batch, keys, heads·dHead]
 * @returns context [batch, queries, heads·dHead]
 * @throws DeftError `tensor.shape`
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  const { heads, scale, mask, bias, causal = false, dropout } = options;
  const attrs = { heads, scale, causal, dropout: dropout?.probability ?? 0, seed: dropout?.seed ?? 0 };
  const inputs = bias === undefined ? [q, k, v] : [q, k, v, bias];
  checkShapes(q, k, v, options);
  if (q.size === 0 || k.size === 0) return withoutPairs(q, inputs);
  let statistics: Tensor;
  return differentiable({
    name: "attention",
    inputs,
    forward: () => {
      const fused = runKernel("DeftAttention", { q, k, v, mask, bias }, attrs);
      let context: Tensor;
      if (fused === undefined) [context, statistics] = composed(q, k, v, options);
      else [context, statistics] = [output(fused, 0, "DeftAttention"), output(fused, 1, "DeftAttention")];
      return { output: context, saved: [q, k, v, statistics, ...(mask === undefined ? [] : [mask]), ...(bias === undefined ? [] : [bias])] };
    },
    backward: (gradient, needs) => {
      const dy = gradient.value();
      const biasGradient = needs[3] === true;
      const fused = runKernel("DeftAttentionGradient", { q, k, v, mask, bias, logSumExp: statistics, dy }, { ...attrs, biasGradient });
      return fused ?? composedGradient(q, k, v, statistics, dy, options);
    },
  });
}

function checkShapes(q: Tensor, k: Tensor, v: Tensor, { heads, mask, bias }: AttentionOptions): void {
  const [batch = 0, queries = 0, width = 0] = q.shape;
  const keys = k.shape[1] ?? 0;
  if (q.shape.length !== 3 || width % heads !== 0) throw misfit("attention", `q must have the shape [batch, queries, ${heads} heads · dHead], got [${q.shape}]`);
  demandShape("attention", "k", k, [batch, keys, width]);
  demandShape("attention", "v", v, k.shape);
  demandShape("attention", "mask", mask, [batch, keys]);
  demandShape("attention", "bias", bias, [bias?.shape[0] === 1 ? 1 : batch, heads, queries, keys]);
}

/** Without a query or a key nothing is attended to: zeros, and no gradient. */
function withoutPairs(q: Tensor, inputs: readonly Tensor[]): Tensor {
  return differentiable({ name: "attention", inputs, forward: () => ({ output: tf.zerosLike(q) }), backward: () => inputs.map(({ shape }) => tf.zeros(shape)) });
}

const split = (x: Tensor, heads: number): Tensor => {
  const [batch = 0, seq = 0, width = 0] = x.shape;
  return tf.transpose(tf.reshape(x, [batch, seq, heads, width / heads]), [0, 2, 1, 3]); // [batch, heads, seq, dHead]
};

const join = (x: Tensor): Tensor => {
  const [batch = 0, heads = 0, seq = 0, dHead = 0] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, seq, heads * dHead]);
};

/** 1 at keys that come after the query, [1, 1, queries, keys]. */
function future(queries: number, keys: number): Tensor {
  return tf.tensor(Float32Array.from({ length: queries * keys }, (_, at) => (at % keys > Math.floor(at / keys) + keys - queries ? 1 : 0)), [1, 1, queries, keys]);
}

/** The additive mask, [batch, 1, queries or 1, keys], clamped at finfo.min; undefined when nothing is masked. */
function additiveMask(queries: number, keys: number, mask: Tensor | undefined, causal: boolean): Tensor | undefined {
  const padding = mask === undefined ? undefined : tf.mul(tf.sub(1, tf.reshape(mask, [mask.shape[0] ?? 1, 1, 1, keys])), FLOAT_MIN);
  if (!causal) return padding;
  const order = tf.mul(future(queries, keys), FLOAT_MIN);
  return padding === undefined ? order : tf.maximum(tf.add(padding, order), FLOAT_MIN);
}

function composed(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): [Tensor, Tensor] {
  let scores = tf.mul(tf.matMul(split(q, options.heads), split(k, options.heads), false, true), options.scale);
  if (options.bias !== undefined) scores = tf.add(scores, options.bias);
  const added = additiveMask(q.shape[1] ?? 0, k.shape[1] ?? 0, options.mask, options.causal ?? false);
  // Masked scores are the mask itself in float32; saying so keeps a fully masked row uniform on every back-end.
  if (added !== undefined) scores = tf.where(tf.broadcastTo(tf.less(added, FLOAT_MIN / 2), scores.shape), tf.fill(scores.shape, FLOAT_MIN), scores);
  const probabilities = tf.softmax(scores);
  const dropped = options.dropout === undefined ? probabilities : tf.mul(probabilities, dropoutFactors(probabilities.shape, options.dropout));
  return [join(tf.matMul(dropped, split(v, options.heads))), probabilities];
}

/** What passes the clamp of padding and order: 1 − (padded + future)/2, [batch, 1, queries, keys]. Elsewhere than in wholly masked rows what it scales is 0 already. */
function passing(mask: Tensor, queries: number): Tensor {
  const [batch = 1, keys = 0] = mask.shape;
  return tf.sub(1, tf.mul(tf.add(tf.sub(1, tf.reshape(mask, [batch, 1, 1, keys])), future(queries, keys)), 0.5));
}

function composedGradient(q: Tensor, k: Tensor, v: Tensor, probabilities: Tensor, dy: Tensor, options: AttentionOptions): InputGradient[] {
  const { heads, scale, mask, bias, causal = false, dropout } = options;
  const [dContext, qh, kh, vh] = [split(dy, heads), split(q, heads), split(k, heads), split(v, heads)];
  const factors = dropout === undefined ? undefined : dropoutFactors(probabilities.shape, dropout);
  const dropped = factors === undefined ? probabilities : tf.mul(probabilities, factors);
  const dDropped = tf.matMul(dContext, vh, false, true);
  const weighted = tf.mul(factors === undefined ? dDropped : tf.mul(dDropped, factors), probabilities);
  const dMasked = tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), probabilities));
  const dScores = causal && mask !== undefined ? tf.mul(dMasked, passing(mask, q.shape[1] ?? 0)) : dMasked;
  const gradients: InputGradient[] = [
    join(tf.mul(tf.matMul(dScores, kh), scale)),
    join(tf.mul(tf.matMul(dScores, qh, true, false), scale)),
    join(tf.matMul(dropped, dContext, true, false)),
  ];
  if (bias !== undefined) gradients.push(bias.shape[0] === 1 ? tf.sum(dScores, 0, true) : dScores);
  return gradients;
}
