import { DeftError, evaluationContext, ops, PartsModel, tokenLoss, type Batch, type Decoding, type ForwardContext, type ForwardResult, type HeadKind, type ModelConfig, type ModelParts, type Taps } from "@deft-js/core";
import type { T5Config } from "./config.ts";
import { T5Decoding } from "./decoding.ts";
import { decoderInputs } from "./labels.ts";
import { HEAD, SHARED } from "./parameters.ts";
import { Stack } from "./stack.ts";

/** What a model is made of. */
export interface T5ModelOptions {
  readonly config: T5Config;
  /** config.json as it is to be written. */
  readonly raw: ModelConfig;
  readonly head: HeadKind;
  readonly parts: ModelParts;
}

/** A T5 encoder-decoder, with a language-model head or none. No parameter is the head's alone: it is the word embeddings, or frozen with the base. */
export class T5Model extends PartsModel {
  readonly #config: T5Config;
  readonly #parts: ModelParts;
  readonly #encoder: Stack;
  readonly #decoder: Stack;

  constructor({ config, raw, head, parts }: T5ModelOptions) {
    super({ family: "t5", config: raw, head, parts });
    this.#config = config;
    this.#parts = parts;
    this.#encoder = new Stack(parts, config, "encoder");
    this.#decoder = new Stack(parts, config, "decoder");
  }

  /**
   * Logits [batch, labelSeq, vocabulary] of the decoder taught with the labels; its last hidden states when there is no head.
   * Taps list the encoder first; each stack's hidden states begin with its embedding and end after its final norm.
   */
  forward(batch: Batch, taps: Taps = {}, context: ForwardContext = evaluationContext): ForwardResult {
    return ops.scope(() => {
      const { ids, labelled } = decoderInputs(batch, this.#config);
      const { inputIds, attentionMask } = batch;
      const encoded = this.#encoder.forward({ inputIds, attentionMask }, taps, context);
      const decoded = this.#decoder.forward({ inputIds: ids, attentionMask: ops.ones(ids.shape), encoder: { hidden: encoded.hidden, mask: encoded.attentionMask }, real: labelled }, taps, context);
      return {
        logits: this.head === "none" ? decoded.hidden : this.#logits(decoded.hidden),
        activations: [...encoded.activations, ...decoded.activations],
        hiddenStates: [...encoded.hiddenStates, ...decoded.hiddenStates],
      };
    });
  }

  /** The mean cross entropy over the labels that are not −100. */
  loss(result: ForwardResult, batch: Batch): ops.Tensor {
    if (this.head === "none") throw new DeftError("model.head", "t5: a model without a head has no loss, got a batch to score. Load it with the head language-model.");
    return tokenLoss(result.logits, batch);
  }

  decode(batch: Batch): Decoding {
    if (this.head === "none") throw new DeftError("model.head", "t5: a model without a head generates nothing, got a batch to go on from. Load it with the head language-model.");
    return new T5Decoding({ encoder: this.#encoder, decoder: this.#decoder, startId: this.#config.startId, logits: (hidden) => this.#logits(hidden) }, batch);
  }

  /** h·Eᵀ/√dModel with the word embeddings E, or h·Hᵀ with a table of its own: [..., dModel] → [..., vocabulary]. */
  #logits(hidden: ops.Tensor): ops.Tensor {
    const { tied, dModel } = this.#config;
    const table = this.#parts.parameter(tied ? SHARED : HEAD);
    return ops.linear(tied ? ops.scale(hidden, dModel ** -0.5) : hidden, table.value, { transposed: true, frozen: !table.trainable });
  }
}
