import { DeftError, evaluationContext, ops, PartsModel, type Batch, type Decoding, type ForwardContext, type ForwardResult, type HeadKind, type ModelConfig, type ModelParts, type Taps } from "@deft-js/core";
import type { OptConfig } from "./config.ts";
import { Decoder } from "./decoder.ts";
import { OptDecoding } from "./decoding.ts";
import { causalLoss } from "./loss.ts";

/** What a model is made of. */
export interface OptModelOptions {
  readonly config: OptConfig;
  /** config.json as it is to be written. */
  readonly raw: ModelConfig;
  readonly head: HeadKind;
  readonly parts: ModelParts;
}

/** An OPT decoder, with the tied language-model head or without. */
export class OptModel extends PartsModel {
  readonly #decoder: Decoder;

  constructor({ config, raw, head, parts }: OptModelOptions) {
    super({ family: "opt", config: raw, head, parts });
    this.#decoder = new Decoder(parts, config);
  }

  /** Logits of the next token after each position; the last hidden states [batch, seq, embeddingSize] when there is no head. */
  forward(batch: Batch, taps: Taps = {}, context: ForwardContext = evaluationContext): ForwardResult {
    const { inputIds, attentionMask } = batch;
    return ops.scope(() => {
      const { hidden, activations, hiddenStates } = this.#decoder.forward({ input: { inputIds, attentionMask }, taps, context });
      return { logits: this.head === "none" ? hidden : this.#decoder.logits(hidden), activations, hiddenStates };
    });
  }

  loss(result: ForwardResult, batch: Batch): ops.Tensor {
    if (this.head === "none") throw new DeftError("model.head", "opt: a model without a head has no loss, got a batch to score. Load it with the head language-model.");
    return causalLoss(result.logits, batch);
  }

  decode(batch: Batch): Decoding {
    if (this.head === "none") throw new DeftError("model.head", "opt: a model without a head generates nothing, got a batch to go on from. Load it with the head language-model.");
    return new OptDecoding(this.#decoder, batch);
  }
}
