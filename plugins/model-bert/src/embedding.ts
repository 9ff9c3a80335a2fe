import { contextDropout, DeftError, layerNormSite, ops, paddingIds, stopPaddingGradient, type Batch, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type LayerNorm, type ModelParts, type SitePoint } from "@deft-js/core";
import type { BertConfig } from "./config.ts";

const { add, broadcastTo, concat, embedding, ones, reshape, slice, tf } = ops;

/** word + position + token type, layer norm, dropout: ids [batch, seq] → hidden [batch, rows + seq, dModel]. */
export class Embedding {
  readonly #config: BertConfig;
  readonly #word: ops.Variable;
  readonly #position: ops.Variable;
  readonly #type: ops.Variable;
  readonly #norm: LayerNorm;
  readonly #site: SitePoint<"embedding">;

  constructor(parts: ModelParts, config: BertConfig) {
    const path = `${config.modelType}.embeddings`;
    this.#config = config;
    this.#word = parts.parameter(`${path}.word_embeddings.weight`);
    this.#position = parts.parameter(`${path}.position_embeddings.weight`);
    this.#type = parts.parameter(`${path}.token_type_embeddings.weight`);
    this.#norm = layerNormSite(parts, { path: `${path}.LayerNorm`, stack: "encoder" }, config.layerNormEpsilon);
    const tokenRows = (ids: ops.Tensor): ops.Tensor => embedding(this.#word.value, ids);
    this.#site = parts.site({ kind: "embedding", path, stack: "encoder", dIn: config.vocabSize, dOut: config.hiddenSize, tokenRows });
  }

  forward({ inputIds, attentionMask, tokenTypeIds }: Batch, context: ForwardContext): EmbeddingOutput {
    return this.#site.run({ inputIds, attentionMask, tokenTypeIds }, context, (input) => this.#embed(input, context));
  }

  #embed(input: EmbeddingInput, context: ForwardContext): EmbeddingOutput {
    const [batch = 0, seq = 0] = input.inputIds.shape;
    const rows = input.prompt?.shape[0] ?? 0;
    this.#checkLength(rows + seq, input.positionOffset ?? 0);
    const tokens = stopPaddingGradient(embedding(this.#word.value, input.inputIds), this.#word, input.inputIds, this.#config.padId);
    const words = input.prompt === undefined ? tokens : concat([repeated(input.prompt, batch), tokens], 1); // [batch, rows + seq, dModel]
    const sum = add(add(words, this.#types(input, batch, rows)), this.#positions(input, rows + seq));
    const hidden = contextDropout(this.#norm(sum, context), this.#config.hiddenDropout, context);
    return { hidden, attentionMask: rows === 0 ? input.attentionMask : concat([ones([batch, rows]), input.attentionMask], 1) };
  }

  /** Token types, 0 for a prompt's rows: [1, 1, dModel] when all are 0, else [batch, rows + seq, dModel]. A table of one row has type 0 only. */
  #types({ tokenTypeIds }: EmbeddingInput, batch: number, rows: number): ops.Tensor {
    const d = this.#config.hiddenSize;
    if (tokenTypeIds === undefined || this.#config.typeVocabSize === 1) return reshape(slice(this.#type.value, [0, 0], [1, d]), [1, 1, d]);
    const ids = rows === 0 ? tokenTypeIds : tf.concat([tf.zeros([batch, rows], "int32"), tokenTypeIds], 1);
    return embedding(this.#type.value, ids);
  }

  /**
   * BERT numbers all rows from the offset. RoBERTa numbers the tokens that are not padding from pad + 1 + offset and gives pad
   * to padding, by ids and not by mask; with a prompt's rows in front it numbers all rows from pad + 1, padding included.
   */
  #positions(input: EmbeddingInput, length: number): ops.Tensor {
    const { modelType, padId, hiddenSize: d } = this.#config;
    const offset = input.positionOffset ?? 0;
    if (modelType === "bert" || input.prompt !== undefined) {
      const start = modelType === "bert" ? offset : padId + 1;
      return reshape(slice(this.#position.value, [start, 0], [length, d]), [1, length, d]);
    }
    const ids = roBertaPositions(input.inputIds, padId, offset);
    return stopPaddingGradient(embedding(this.#position.value, ids), this.#position, ids, padId);
  }

  #checkLength(length: number, offset: number): void {
    const { maxPositions, modelType, padId } = this.#config;
    const most = modelType === "bert" ? maxPositions : maxPositions - padId - 1;
    if (length + offset > most)
      throw new DeftError("model.length", `${modelType}: a sequence may have ${most} positions, got ${length}${offset > 0 ? ` after ${offset}` : ""}. Lower maxLength.`);
  }
}

/** (cumsum(id ≠ pad) + offset)·(id ≠ pad) + pad, int32 [batch, seq] (transformers 4.26, `create_position_ids_from_input_ids`). */
function roBertaPositions(inputIds: ops.Tensor, padId: number, offset: number): ops.Tensor {
  return ops.scope(() => {
    const real = tf.sub(tf.scalar(1, "int32"), paddingIds(inputIds, padId));
    const counted = tf.add(tf.cumsum(real, 1), tf.scalar(offset, "int32"));
    return tf.add(tf.mul(counted, real), tf.scalar(padId, "int32"));
  });
}

/** [rows, d] → [batch, rows, d]. */
function repeated(prompt: ops.Tensor, batch: number): ops.Tensor {
  const [rows = 0, d = 0] = prompt.shape;
  return broadcastTo(reshape(prompt, [1, rows, d]), [batch, rows, d]);
}
