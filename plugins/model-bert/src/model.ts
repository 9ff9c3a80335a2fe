import {
  evaluationContext,
  ops,
  type Batch,
  type EmbeddingOutput,
  type ForwardContext,
  type ForwardResult,
  type HeadKind,
  type Model,
  type ModelConfig,
  type ModelParts,
  type NamedArray,
  type Site,
  type SiteKind,
  type TappedActivation,
  type Taps,
  type Weight,
} from "@deft-js/core";
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

interface Encoded extends EmbeddingOutput {
  readonly activations: readonly TappedActivation[];
  readonly hiddenStates: readonly ops.Tensor[];
}

/** A BERT or RoBERTa encoder with a head. */
export class BertModel implements Model {
  readonly family: string;
  readonly config: ModelConfig;
  readonly head: HeadKind;
  readonly #parts: ModelParts;
  readonly #embedding: Embedding;
  readonly #layers: readonly EncoderLayer[];
  readonly #logits: HeadFunction;
  readonly #plan: HeadPlan;
  readonly #headParameters: readonly ops.Variable[];

  constructor({ config, raw, kind, head, parts, headParameters }: BertModelOptions) {
    this.family = config.modelType;
    this.config = raw;
    this.head = kind;
    this.#parts = parts;
    this.#embedding = new Embedding(parts, config);
    this.#layers = Array.from({ length: config.layers }, (_, layer) => new EncoderLayer(parts, config, layer));
    this.#logits = head.build(parts);
    this.#plan = head;
    this.#headParameters = headParameters;
  }

  sites<K extends SiteKind>(kind: K, pattern?: RegExp): readonly Site<K>[] {
    return this.#parts.sites(kind, pattern);
  }

  /** Logits of the head; the last hidden states [batch, seq, dModel] when there is none. */
  forward(batch: Batch, taps: Taps = {}, context: ForwardContext = evaluationContext): ForwardResult {
    return ops.scope(() => {
      const { hidden, activations, hiddenStates } = this.#encode(this.#layers.length, batch, taps, context);
      return { logits: this.#logits(hidden, context), activations, hiddenStates };
    });
  }

  /** The first `depth` layers. Each runs in a scope around those below it, so that one layer's tensors at a time are alive. */
  #encode(depth: number, batch: Batch, taps: Taps, context: ForwardContext): Encoded {
    return ops.scope(() => {
      const layer = this.#layers[depth - 1];
      if (layer === undefined) {
        const embedded = this.#embedding.forward(batch, context);
        return { ...embedded, activations: [], hiddenStates: taps.hiddenStates === true ? [embedded.hidden] : [] };
      }
      const { hidden: below, attentionMask, activations, hiddenStates } = this.#encode(depth - 1, batch, taps, context);
      const { hidden, activation } = layer.forward(below, attentionMask, context);
      const tapped = taps.activations === true && activation !== undefined;
      return {
        hidden,
        attentionMask,
        activations: tapped ? [...activations, { path: layer.activationPath, stack: "encoder", layer: depth - 1, value: activation, mask: attentionMask }] : activations,
        hiddenStates: taps.hiddenStates === true ? [...hiddenStates, hidden] : hiddenStates,
      };
    });
  }

  loss(result: ForwardResult, batch: Batch): ops.Tensor {
    return this.#plan.loss(result.logits, batch);
  }

  parameters(): ReadonlyMap<string, ops.Variable> {
    return this.#parts.parameters();
  }

  headParameters(): readonly ops.Variable[] {
    return this.#headParameters;
  }

  exportParameters(): Iterable<NamedArray> {
    return this.#parts.exportParameters();
  }

  replaceWeight(path: string, weight: Weight): void {
    this.#parts.replaceWeight(path, weight);
  }

  dispose(): void {
    this.#parts.dispose();
  }
}
