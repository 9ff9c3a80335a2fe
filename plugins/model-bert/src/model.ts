import { evaluationContext, ops, PartsModel, throughLayers, type Batch, type ForwardContext, type ForwardResult, type HeadKind, type ModelConfig, type ModelParts, type Taps } from "@deft-js/core";
import type { BertConfig } from "./config.ts";
import { Embedding } from "./embedding.ts";
import type { HeadFunction, HeadPlan } from "./head.ts";
import { EncoderLayer } from "./layer.ts";

/** What a model is made of. */
export interface BertModelOptions {
  readonly config: BertConfig;
  /** config.json as it is to be written. */
  readonly raw: ModelConfig;
  readonly kind: HeadKind;
  readonly head: HeadPlan;
  readonly parts: ModelParts;
  readonly headParameters: readonly ops.Variable[];
}

/** A BERT or RoBERTa encoder with a head. */
export class BertModel extends PartsModel {
  readonly #embedding: Embedding;
  readonly #layers: readonly EncoderLayer[];
  readonly #logits: HeadFunction;
  readonly #plan: HeadPlan;

  constructor({ config, raw, kind, head, parts, headParameters }: BertModelOptions) {
    super({ family: config.modelType, config: raw, head: kind, parts, headParameters });
    this.#embedding = new Embedding(parts, config);
    this.#layers = Array.from({ length: config.layers }, (_, layer) => new EncoderLayer(parts, config, layer));
    this.#logits = head.build(parts);
    this.#plan = head;
  }

  /** Logits of the head; the last hidden states [batch, seq, dModel] when there is none. */
  forward(batch: Batch, taps: Taps = {}, context: ForwardContext = evaluationContext): ForwardResult {
    return ops.scope(() => {
      const { hidden, activations, hiddenStates } = throughLayers({
        stack: "encoder",
        layers: this.#layers,
        taps,
        embed: () => this.#embedding.forward(batch, context),
        run: (layer, { x, mask }) => layer.forward(x, mask, context),
      });
      return { logits: this.#logits(hidden, context), activations, hiddenStates };
    });
  }

  loss(result: ForwardResult, batch: Batch): ops.Tensor {
    return this.#plan.loss(result.logits, batch);
  }
}
