import { contextDropout, ops, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type ModelParts, type SitePoint, type TappedActivation, type Taps } from "@deft-js/core";
import { Block, type BlockCache, type BlockReads } from "./block.ts";
import type { T5Config } from "./config.ts";
import { rmsNorm, type Norm } from "./norm.ts";
import { SHARED, type StackName } from "./parameters.ts";
import { RelativeBias, type Span } from "./relative-position.ts";

/** What goes into a stack. */
export interface StackInput {
  /** int32 [batch, seq]. */
  readonly inputIds: ops.Tensor;
  /** float32 [batch, past + seq]. */
  readonly attentionMask: ops.Tensor;
  /** How many positions the caches hold; 0 when left out. */
  readonly past?: number;
  /** One for each block. */
  readonly caches?: readonly BlockCache[];
  /** Of a decoder: the encoder's output (missing once the caches hold what is read of it) and its mask [batch, keys]. */
  readonly encoder?: { readonly hidden?: ops.Tensor | undefined; readonly mask: ops.Tensor };
  /** Which positions are real ones, for the taps, [batch, seq]; those of the mask when left out. */
  readonly real?: ops.Tensor;
}

/** What comes out of it. */
export interface StackOutput {
  /** After the final norm, [batch, rows + seq, dModel]. */
  readonly hidden: ops.Tensor;
  /** [batch, past + rows + seq]. */
  readonly attentionMask: ops.Tensor;
  readonly activations: readonly TappedActivation[];
  /** The embedding's output, then each block's; the last one after the final norm. */
  readonly hiddenStates: readonly ops.Tensor[];
}

type Passed = Pick<StackOutput, "hidden" | "activations" | "hiddenStates">;

interface Pass {
  readonly embedded: ops.Tensor;
  /** What block i reads. */
  reads(block: number): BlockReads;
  /** The mask of the taps. */
  readonly real: ops.Tensor;
  readonly taps: Taps;
  readonly context: ForwardContext;
}

/** The encoder or the decoder: embedding, blocks, final norm. */
export class Stack {
  readonly #name: StackName;
  readonly #config: T5Config;
  readonly #words: ops.Variable;
  readonly #embedding: SitePoint<"embedding">;
  readonly #bias: RelativeBias;
  readonly #blocks: readonly Block[];
  readonly #norm: Norm;

  constructor(parts: ModelParts, config: T5Config, name: StackName) {
    this.#name = name;
    this.#config = config;
    this.#words = parts.parameter(SHARED);
    this.#embedding = parts.site({ kind: "embedding", path: `${name}.embed_tokens`, stack: name, dIn: config.vocabSize, dOut: config.dModel, tokenRows: (ids) => ops.embedding(this.#words.value, ids) });
    this.#bias = new RelativeBias(parts, config, name);
    this.#blocks = Array.from({ length: name === "encoder" ? config.encoderLayers : config.decoderLayers }, (_, layer) => new Block(parts, config, name, layer));
    this.#norm = rmsNorm(parts, config, `${name}.final_layer_norm`);
  }

  /** Number of blocks. */
  get depth(): number {
    return this.#blocks.length;
  }

  forward(input: StackInput, taps: Taps, context: ForwardContext): StackOutput {
    const { inputIds, attentionMask: mask, past = 0, real } = input;
    const { hidden: embedded, attentionMask } = this.#embedding.run({ inputIds, attentionMask: mask, past }, context, (i) => this.#embed(i, context));
    const [size = 0, queries = 0] = embedded.shape;
    const relativeBias = (span: Span): ops.Tensor => this.#bias.over(span);
    const self = { mask: attentionMask, bias: relativeBias({ queries, keys: past + queries, queryOffset: past }), relativeBias, causal: this.#name === "decoder" };
    const reads = (block: number): BlockReads => {
      const cache = input.caches?.[block];
      return { self: { ...self, cache: cache?.self }, cross: input.encoder && { source: input.encoder.hidden, mask: input.encoder.mask, causal: false, cache: cache?.cross } };
    };
    const passed = this.#through(this.#blocks.length, { embedded, reads, real: real === undefined ? attentionMask : withRows(real, size, queries), taps, context });
    const hidden = contextDropout(this.#norm(passed.hidden), this.#config.dropout, context);
    return { hidden, attentionMask, activations: passed.activations, hiddenStates: taps.hiddenStates === true ? [...passed.hiddenStates.slice(0, -1), hidden] : [] };
  }

  #embed({ inputIds, attentionMask, prompt, past = 0 }: EmbeddingInput, context: ForwardContext): EmbeddingOutput {
    const words = ops.embedding(this.#words.value, inputIds); // [batch, seq, dModel]
    if (prompt === undefined || past > 0) return { hidden: contextDropout(words, this.#config.dropout, context), attentionMask };
    const [size = 0, , d = 0] = words.shape;
    const rows = prompt.shape[0] ?? 0;
    const repeated = ops.broadcastTo(ops.reshape(prompt, [1, rows, d]), [size, rows, d]);
    const hidden = contextDropout(ops.concat([repeated, words], 1), this.#config.dropout, context); // [batch, rows + seq, dModel]
    return { hidden, attentionMask: ops.concat([ops.ones([size, rows]), attentionMask], 1) };
  }

  /** The first `depth` blocks. Each runs in a scope around those below it, so that one block's tensors at a time are alive. */
  #through(depth: number, pass: Pass): Passed {
    const { embedded, reads, real, taps, context } = pass;
    const block = this.#blocks[depth - 1];
    if (block === undefined) return { hidden: embedded, activations: [], hiddenStates: taps.hiddenStates === true ? [embedded] : [] };
    return ops.scope(() => {
      const below = this.#through(depth - 1, pass);
      const { hidden, activation, product } = block.forward(below.hidden, reads(depth - 1), context);
      const tapped = taps.activations === true && activation !== undefined;
      return {
        hidden,
        activations: tapped ? [...below.activations, { path: block.activationPath, stack: this.#name, layer: depth - 1, value: activation, product, mask: real }] : below.activations,
        hiddenStates: taps.hiddenStates === true ? [...below.hiddenStates, hidden] : [],
      };
    });
  }
}

/** A mask [batch, seq] with as many ones in front as the embedding put rows there. */
function withRows(mask: ops.Tensor, size: number, positions: number): ops.Tensor {
  const rows = positions - (mask.shape[1] ?? 0);
  return rows === 0 ? mask : ops.concat([ops.ones([size, rows]), mask], 1);
}
