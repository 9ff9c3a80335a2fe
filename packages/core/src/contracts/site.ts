import type { Tensor, Variable } from "@deft-js/tensor";
import type { Progress } from "./method.ts";
import type { Weight } from "./weight.ts";

/** How a forward pass is run: what is random, and from which stream. */
export interface ForwardContext {
  /** True while training: dropout is on. */
  readonly training: boolean;
  /** A fresh seed for each random op of the pass; the same run draws the same seeds in the same order. */
  nextSeed(): number;
  /** Where the training stands, for what changes over a run; absent outside a training step. */
  readonly progress?: Progress | undefined;
}

/** What flows through the sites of a kind: the function's input and output. */
export interface SiteSignatures {
  /** ids → hidden states and the mask that the encoder attends with. Prompt tuning puts rows in front of both. */
  embedding: { input: EmbeddingInput; output: EmbeddingOutput };
  /** [..., dIn] → [..., dOut]. */
  linear: { input: Tensor; output: Tensor };
  /** q, k, v, mask → context [batch, queries, heads·dHead]. */
  attention: { input: AttentionInput; output: Tensor };
  /** A sublayer's output before it is added to the residual stream → what is added instead. */
  residual: { input: ResidualInput; output: Tensor };
  /** The MLP's pre-activation → its intermediate activation, both [batch, seq, dFf]. */
  activation: { input: Tensor; output: Tensor };
  /** A norm with a bias: what is normalised → the normalised, both [.., dModel]. Models without such norms have no such sites. */
  norm: { input: Tensor; output: Tensor };
  /** The whole MLP block: [batch, seq, dModel] → [batch, seq, dModel]. */
  mlp: { input: Tensor; output: Tensor };
}

/** The kinds of sites. */
export type SiteKind = keyof SiteSignatures;

export interface EmbeddingInput {
  /** int32 [batch, seq]. */
  readonly inputIds: Tensor;
  /** float32 [batch, seq], 1 = token, 0 = padding. */
  readonly attentionMask: Tensor;
  /** int32 [batch, seq]; zeros when left out. */
  readonly tokenTypeIds?: Tensor | undefined;
  /** Added to every position id: how many keys stand before the first token (prefix tuning in some libraries). */
  readonly positionOffset?: number;
  /** How many positions of these rows a key/value cache already holds; the mask covers them too, [batch, past + seq]. 0 when left out. */
  readonly past?: number | undefined;
  /** Rows put in front of the token embeddings before positions, types and norms are applied, [rows, dModel] (prompt tuning). */
  readonly prompt?: Tensor | undefined;
}

export interface EmbeddingOutput {
  /** [batch, seq, dModel]. */
  readonly hidden: Tensor;
  /** float32 [batch, seq]. */
  readonly attentionMask: Tensor;
}

export interface AttentionInput {
  /** [batch, queries, heads·dHead]. */
  readonly query: Tensor;
  /** [batch, keys, heads·dHead]. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** float32 [batch, keys]; 1 = attend. */
  readonly mask?: Tensor | undefined;
  /** Added to the scores, [1 or batch, heads, queries, keys]. */
  readonly bias?: Tensor | undefined;
  /** How many keys were put in front; their columns of `bias` are of who put them there, and no part of `relativeBias`. 0 when left out. */
  readonly front?: number | undefined;
  /**
   * The model's relative position bias for other spans than the present one, [1, heads, queries, keys]: query i stands at position
   * queryOffset + i, key j at j. Absent where the model has none. Who puts keys in front says with it what stands in `bias`.
   */
  relativeBias?(span: { readonly queries: number; readonly keys: number; readonly queryOffset: number }): Tensor;
  readonly heads: number;
  /** Factor of q·kᵀ. */
  readonly scale: number;
  readonly causal: boolean;
  readonly context: ForwardContext;
}

export interface ResidualInput {
  /** The sublayer's output h, [batch, seq, dModel]. */
  readonly hidden: Tensor;
  /** The residual stream x that h will be added to. */
  readonly residual: Tensor;
  /** What the block applies after the sum: LN in post-LN models, the identity in pre-LN ones. */
  normalize(x: Tensor): Tensor;
  readonly context: ForwardContext;
}

/** What a wrapper does around the function: may change its input, call it or not, and change its output. */
export type Around<K extends SiteKind> = (
  input: SiteSignatures[K]["input"],
  base: (input: SiteSignatures[K]["input"]) => SiteSignatures[K]["output"],
  context: ForwardContext,
) => SiteSignatures[K]["output"];

/** Where a wrapper stands: `pre` nearest to the base function, `post` outermost; within one, later installed is further out. */
export type WrapOrder = "pre" | "normal" | "post";

/** Takes a wrapper off its site. */
export interface Unwrap {
  (): void;
  /** Whether the wrapper stands next to the site's own function: then alone it can be folded into the weight that the function reads. */
  readonly innermost: boolean;
}

/** See `Site.role`. */
export type SiteRole = "attention" | "cross-attention" | "mlp" | "mlp-up" | "mlp-gate" | "mlp-down";

/** A place in a model where a method may step in. */
export interface Site<K extends SiteKind = SiteKind> {
  readonly kind: K;
  /** The Hugging Face module path, e.g. `bert.encoder.layer.3.attention.self.query`. */
  readonly path: string;
  /** Which stack it stands in. */
  readonly stack: "encoder" | "decoder";
  /** The layer's number within its stack; undefined outside the layers. */
  readonly layer?: number | undefined;
  /**
   * What the sublayer is, for residual and attention sites: `attention`, `cross-attention` or `mlp`. Of a linear site, which of the MLP's matrices:
   * `mlp-up` [dModel, dFf], `mlp-gate` beside it in gated MLPs (its output goes into the activation), `mlp-down` [dFf, dModel].
   */
  readonly role?: SiteRole | undefined;
  /** Size of the last axis going in and coming out, where fixed. */
  readonly dIn: number;
  readonly dOut: number;
  /** The weight of a linear site. */
  readonly weight?: Weight | undefined;
  /** b of a linear or norm site, [dOut], where it has one. */
  readonly bias?: Variable | undefined;
  /** Of an embedding site: the rows [n, dOut] that stand for tokens, int32 [n], before positions, types and norms: what a prompt may start from. */
  readonly tokenRows?: ((ids: Tensor) => Tensor) | undefined;
  /** Whether the function that a wrapper was just given is the site's own: nothing stands between. */
  isOwn(base: (input: SiteSignatures[K]["input"]) => SiteSignatures[K]["output"]): boolean;
  /** Installs a wrapper and returns its undo; undo works in any order. */
  wrap(around: Around<K>, order?: WrapOrder): Unwrap;
}
