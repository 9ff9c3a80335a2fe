import { DeftError, evaluationContext, ops, stopPaddingGradient, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type LinearSite, type ModelParts, type SitePoint } from "@deft-js/core";
import type { OptConfig } from "./config.ts";
import { DECODER, POSITION_OFFSET } from "./parameters.ts";

const { add, broadcastTo, concat, embedding, ones, reshape, tf } = ops;

/**
 * project_in(word) + position: ids [batch, seq] → hidden [batch, rows + seq, dModel]. Positions count the tokens of the mask, so that
 * padding on the left does not shift them; padded positions all take the row below the first token's.
 */
export class Embedding {
  readonly #config: OptConfig;
  readonly #word: ops.Variable;
  readonly #position: ops.Variable;
  readonly #projectIn: LinearSite | undefined;
  readonly #site: SitePoint<"embedding">;

  constructor(parts: ModelParts, config: OptConfig) {
    const { vocabSize, hiddenSize, embeddingSize } = config;
    this.#config = config;
    this.#word = parts.parameter(`${DECODER}.embed_tokens.weight`);
    this.#position = parts.parameter(`${DECODER}.embed_positions.weight`);
    this.#projectIn = embeddingSize === hiddenSize ? undefined : parts.linear({ path: `${DECODER}.project_in`, stack: "decoder" });
    this.#site = parts.site({ kind: "embedding", path: `${DECODER}.embed_tokens`, stack: "decoder", dIn: vocabSize, dOut: hiddenSize, tokenRows: (ids) => this.#rows(ids, evaluationContext) });
  }

  forward(input: EmbeddingInput, context: ForwardContext): EmbeddingOutput {
    return this.#site.run(input, context, (x) => this.#embed(x, context));
  }

  /** h·Eᵀ with the word embeddings E: [batch, seq, embeddingSize] → [batch, seq, vocabulary]. */
  logits(hidden: ops.Tensor): ops.Tensor {
    return ops.linear(hidden, this.#word.value, { transposed: true, frozen: !this.#word.trainable });
  }

  #embed({ inputIds, attentionMask, prompt, positionOffset = 0, past = 0 }: EmbeddingInput, context: ForwardContext): EmbeddingOutput {
    const [batch = 0] = inputIds.shape;
    const rows = prompt?.shape[0] ?? 0;
    const mask = rows === 0 ? attentionMask : concat([ones([batch, rows]), attentionMask], 1); // [batch, past + rows + seq]
    this.#checkLength(mask.shape[1] ?? 0, positionOffset);
    const tokens = this.#rows(inputIds, context);
    const all = prompt === undefined ? tokens : concat([repeated(prompt, batch), tokens], 1); // [batch, rows + seq, dModel]
    return { hidden: add(all, embedding(this.#position.value, positionRows(mask, past, positionOffset))), attentionMask: mask };
  }

  /** project_in(word): ids [...] → [..., dModel]. */
  #rows(ids: ops.Tensor, context: ForwardContext): ops.Tensor {
    const words = stopPaddingGradient(embedding(this.#word.value, ids), this.#word, ids, this.#config.padId);
    return this.#projectIn?.forward(words, context) ?? words;
  }

  #checkLength(length: number, offset: number): void {
    const { maxPositions } = this.#config;
    if (length + offset > maxPositions)
      throw new DeftError("model.length", `opt: a sequence may have ${maxPositions} positions, got ${length}${offset > 0 ? ` after ${offset}` : ""}. Lower maxLength or the number of new tokens.`);
  }
}

/**
 * (cumsum(mask) + offset)·mask − 1 + 2 of the positions from `past` on, int32 [batch, seq] (transformers, OPTLearnedPositionalEmbedding).
 * @param mask [batch, past + seq]
 */
function positionRows(mask: ops.Tensor, past: number, offset: number): ops.Tensor {
  return ops.scope(() => {
    const real = tf.cast(mask, "int32");
    const counted = tf.mul(tf.add(tf.cumsum(real, 1), tf.scalar(offset, "int32")), real);
    const rows = tf.add(counted, tf.scalar(POSITION_OFFSET - 1, "int32"));
    return past === 0 ? rows : tf.slice(rows, [0, past], [-1, -1]);
  });
}

/** [rows, d] → [batch, rows, d]. */
function repeated(prompt: ops.Tensor, batch: number): ops.Tensor {
  const [rows = 0, d = 0] = prompt.shape;
  return broadcastTo(reshape(prompt, [1, rows, d]), [batch, rows, d]);
}
