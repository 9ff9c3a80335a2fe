import type { QuantizedMatrix } from "./quantized-matrix.ts";

/**
 * The fused kernels that a back-end may bring. Each op of this package asks for its kernel by name; where the
 * active back-end has none, the op runs its composed form (plain tfjs kernels). Both compute the same function.
 *
 * A kernel is registered with tfjs under `(name, backend)`, takes `inputs` by the names below, and returns its outputs
 * in the order given. All tensors are float32 unless said. `rows` stands for any leading dimensions.
 */
export interface KernelTable {
  /** y = f(x·W + b). In: x [rows, dIn], weight [dIn, dOut] ([dOut, dIn] when `transposed`), bias? [dOut]. Out: y, and what `save` names: x·W + b, or f′ there. */
  DeftLinear: { activation: ActivationKind | "identity"; transposed: boolean; frozen: boolean; save?: "pre" | "slope" | undefined };
  /** dx = sum + dy·Wᵀ. In: dy [rows, dOut], weight, sum? [rows, dIn] (absent = 0; its memory may become dx's). Out: dx [rows, dIn]. `frozen`: the weight never changes, so it may be packed once. */
  DeftLinearInputGradient: { transposed: boolean; frozen: boolean };
  /** dW = xᵀ·dy. In: x [rows, dIn], dy [rows, dOut]. Out: dW [dIn, dOut] ([dOut, dIn] when `transposed`). */
  DeftLinearWeightGradient: { transposed: boolean };
  /** y = x·Wᵀ + b with W [dOut, dIn] in few bits. In: x [rows, dIn], bias? [dOut]. Out: y [rows, dOut]. */
  DeftQuantizedLinear: { matrix: QuantizedMatrix };
  /** dx = dy·W. In: dy [rows, dOut]. Out: dx [rows, dIn]. */
  DeftQuantizedLinearInputGradient: { matrix: QuantizedMatrix };
  /**
   * y = x'·W + b with x' = x where |x| > threshold and, for keep > 0, |x| is not below the keep-th largest of its row; 0 elsewhere. Zeros are skipped where the
   * share of what is left is at most `breakEven`; otherwise the product is dense, of the same x'. In: x, weight, bias? as DeftLinear's.
   * Out: y; tells what was decided.
   */
  DeftSparseLinear: { transposed: boolean; frozen: boolean; breakEven: number; threshold: number; keep: number; onDecision?: OnDecision | undefined };
  /**
   * y_j = x·W_j + b_j where |s_j| > threshold, 0 elsewhere, with W [dOut, dIn]. Outputs that are not wanted are left out where the share of wanted ones is at most `breakEven`;
   * otherwise the product is dense and they are put to 0. In: x [rows, dIn], weight, select s [rows, dOut], bias? [dOut]. Out: y; tells what was decided.
   */
  DeftSelectedLinear: { frozen: boolean; breakEven: number; threshold: number; onDecision?: OnDecision | undefined };
  /** db = Σ_rows dy. In: dy [rows, n]. Out: [n]. */
  DeftRowSum: Record<string, never>;
  /** y = base + s·(x·A)·B. In: x [rows, dIn], base [rows, dOut], down A [dIn, r], up B [r, dOut]. Out: y, x·A [rows, r]. */
  DeftLowRank: { scale: number };
  /** In: x, xa [rows, r], dy, down, up, and sum? of x's shape (see DeftLinearInputGradient). Out: dA, dB; then sum + dx when `needsX`. */
  DeftLowRankGradient: { scale: number; needsX: boolean };
  /** y = f(x). In: x. Out: y. */
  DeftActivation: { kind: ActivationKind };
  /**
   * dx = (dy + Σ density)·f′. In: y (the output) for relu, tanh and sigmoid, x (the pre-activation) for the others, or the slope f′ where the back-end's DeftLinear left it
   * (and y beside it where there is a density); dy? (absent = 0; its memory may become dx's),
   * weights? [batch, seq] and dp? [batch] (see DeftDensityPenalty: the penalty's weights and the gradient by it).
   * With `epsilon`: adds dp[b]·weights[b,s]·2yε/(y²+ε)² to dy first, and writes the penalty into penalty? [batch]. Out: dx.
   */
  DeftActivationGradient: { kind: ActivationKind; epsilon?: number };
  /** p_b = Σ_{s,i} w[b,s]·a²/(a²+ε). In: a [batch, seq, n], weights [batch, seq]. Out: p [batch]; `late`: NaN, to be written by the kernel that gets p as `penalty`. */
  DeftDensityPenalty: { epsilon: number; late: boolean };
  /** da = dp[b]·w[b,s]·2aε/(a²+ε)². In: a, weights, dy [batch], and penalty? [batch], which p is written into. Out: da. */
  DeftDensityPenaltyGradient: { epsilon: number };
  /** w[b,s] = mask[b,s]/(max(Σ_s mask[b,s], 1)·n) with n `neurons`. In: mask [batch, seq]. Out: w, a penalty's weights. */
  DeftPositionWeights: { neurons: number };
  /**
   * y = γ·(z − mean)·rstd + β with z = x (+ residual); `rms`: no mean, no β. In: x [rows, n], residual?, gamma, beta?.
   * Out: y, mean [rows] (zeros for rms), rstd [rows], and z when a residual was given.
   */
  DeftNorm: { kind: "layer" | "rms"; epsilon: number };
  /** In: dy (its memory may become dz's), z, gamma, mean, rstd, and sum? of z's shape (see DeftLinearInputGradient). Out: sum + dz; then dγ and (layer) dβ when `parameters`. */
  DeftNormGradient: { kind: "layer" | "rms"; parameters: boolean };
  /**
   * softmax(scale·q·kᵀ + bias + mask)·v for every head, heads read by stride from the last axis.
   * In: q [b, sq, heads·d], k and v [b, sk, heads·d], mask? [b, sk] (1 = attend, 0 = padding; added as (1−m)·finfo.min),
   * bias? [1 or b, heads, sq, sk]. `causal`: query i sees keys j ≤ i + (sk − sq); all additive masks are clamped at finfo.min.
   * `dropout`: probabilities are dropped by `keeps(seed, ((b·heads + h)·sq + i)·sk + j)`. Out: context [b, sq, heads·d], logSumExp [b, heads, sq].
   */
  DeftAttention: { heads: number; scale: number; causal: boolean; dropout: number; seed: number };
  /** In: q, k, v, mask?, bias?, logSumExp, dy. Out: dq, dk, dv, and dbias when `biasGradient`. */
  DeftAttentionGradient: KernelTable["DeftAttention"] & { biasGradient: boolean };
  /** Mean cross entropy over rows whose label is not `ignoreIndex`. In: logits [n, c], labels int32 [n]. Out: loss [], log-sum-exp [n]. */
  DeftCrossEntropy: { ignoreIndex: number };
  /** In: logits, labels, logSumExp, dy []. Out: dlogits. */
  DeftCrossEntropyGradient: { ignoreIndex: number };
  /** y[i] = table[ids[i]]. In: table [n, d], ids int32 [rows]. Out: [rows, d]. */
  DeftGather: Record<string, never>;
  /** out[ids[i]] += dy[i]. In: ids int32 [rows], dy [rows, d]. Out: [size, d]. */
  DeftScatterAdd: { size: number };
  /** y = x·keep/(1−p), keep = `keeps(seed, i)` by flat index i. In: x. Out: y. The gradient is the same kernel on dy. */
  DeftDropout: { probability: number; seed: number };
  /** One AdamW step, in place. In: value, m, v, gradient, all of one shape. Out: none. See `adamWStep`. */
  DeftAdamW: { learningRate: number; beta1: number; beta2: number; epsilon: number; weightDecay: number; step: number };
  /** Σx of each tensor. In: n tensors, named 0 to n − 1. Out: [n]. */
  DeftSums: Record<string, never>;
  /** Σx² of each tensor, as DeftSums. */
  DeftSquaredNorms: Record<string, never>;
}

export type KernelName = keyof KernelTable;

/** What a product that may leave something out found and did. */
export interface SparseDecision {
  /** Share of entries (or outputs) that count, of all rows or of a sample that settled it. */
  readonly density: number;
  readonly skipped: boolean;
}

/** Told of a product's decision. */
export type OnDecision = (decision: SparseDecision) => void;

/** The activations of the MLP blocks that the toolkit knows. `gelu` is the erf form, `gelu_new` the tanh form. */
export type ActivationKind = "relu" | "gelu" | "gelu_new" | "silu" | "tanh" | "sigmoid";
