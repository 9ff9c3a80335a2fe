import { contextDropout, ops, throughLayers, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type ModelParts, type Passed, type SitePoint, type Taps } from "@deft-js/core";
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

  /** The last of the hidden states is after the final norm, as is `hidden`. */
  forward(input: StackInput, taps: Taps, context: ForwardContext): Passed {
    const { inputIds, attentionMask: mask, past = 0, real } = input;
    const { hidden: embedded, attentionMask } = this.#embedding.run({ inputIds, attentionMask: mask, past }, context, (i) => this.#embed(i, context));
    const [size = 0, queries = 0] = embedded.shape;
    const relativeBias = (span: Span): ops.Tensor => this.#bias.over(span);
    const self = { mask: attentionMask, bias: relativeBias({ queries, keys: past + queries, queryOffset: past }), relativeBias, causal: this.#name === "decoder" };
    const reads = (block: number): BlockReads => {
      const cache = input.caches?.[block];
      return { self: { ...self, cache: cache?.self }, cross: input.encoder && { source: input.encoder.hidden, mask: input.encoder.mask, causal: false, cache: cache?.cross } };
    };
    const { hidden: last, activations, hiddenStates } = throughLayers({
      stack: this.#name,
      layers: this.#blocks,
      taps,
      embed: () => ({ hidden: embedded, attentionMask }),
      run: (block, { index, x }) => block.forward(x, reads(index), context),
      real: real === undefined ? undefined : withRows(real, size, queries),
    });
    const hidden = contextDropout(this.#norm(last), this.#config.dropout, context);
    return { hidden, attentionMask, activations, hiddenStates: taps.hiddenStates === true ? [...hiddenStates.slice(0, -1), hidden] : [] };
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
}

/** A mask [batch, seq] with as many ones in front as the embedding put rows there. */
function withRows(mask: ops.Tensor, size: number, positions: number): ops.Tensor {
  const rows = positions - (mask.shape[1] ?? 0);
  return rows === 0 ? mask : ops.concat([ops.ones([size, rows]), mask], 1);
}
