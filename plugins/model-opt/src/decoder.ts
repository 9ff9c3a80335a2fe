import { ops, throughLayers, type EmbeddingInput, type ForwardContext, type KeyValueCache, type LayerNorm, type LinearSite, type ModelParts, type Passed, type Taps } from "@deft-js/core";
import type { OptConfig } from "./config.ts";
import { Embedding } from "./embedding.ts";
import { DecoderLayer } from "./layer.ts";
import { layerNorm } from "./norm.ts";
import { DECODER } from "./parameters.ts";

/** What a pass is run with. */
export interface DecoderPass {
  readonly input: EmbeddingInput;
  readonly taps: Taps;
  readonly context: ForwardContext;
  /** One for each layer, while generating. */
  readonly caches?: readonly KeyValueCache[] | undefined;
}

/** Embedding, layers, and what follows the last of them: the final norm and the projection to the width of the word embeddings. */
export class Decoder {
  readonly #embedding: Embedding;
  readonly #layers: readonly DecoderLayer[];
  readonly #finalNorm: LayerNorm | undefined;
  readonly #projectOut: LinearSite | undefined;

  constructor(parts: ModelParts, config: OptConfig) {
    this.#embedding = new Embedding(parts, config);
    this.#layers = Array.from({ length: config.layers }, (_, layer) => new DecoderLayer(parts, config, layer));
    this.#finalNorm = config.finalNorm ? layerNorm(parts, { path: `${DECODER}.final_layer_norm` }) : undefined;
    this.#projectOut = config.embeddingSize === config.hiddenSize ? undefined : parts.linear({ path: `${DECODER}.project_out`, stack: "decoder" });
  }

  get depth(): number {
    return this.#layers.length;
  }

  /** hidden [batch, seq, embeddingSize] after the last layer, the final norm and the projection; so is the last of the hidden states. */
  forward({ input, taps, context, caches }: DecoderPass): Passed {
    return ops.scope(() => {
      const { hidden: last, hiddenStates, ...rest } = throughLayers({
        stack: "decoder",
        layers: this.#layers,
        taps,
        embed: () => this.#embedding.forward(input, context),
        run: (layer, { index, x, mask }) => layer.forward(x, mask, context, caches?.[index]),
      });
      const normed = this.#finalNorm?.(last, context) ?? last;
      const hidden = this.#projectOut?.forward(normed, context) ?? normed;
      return { ...rest, hidden, hiddenStates: hiddenStates.length === 0 ? [] : [...hiddenStates.slice(0, -1), hidden] };
    });
  }

  /** hidden·Eᵀ, [batch, seq, vocabulary]. */
  logits(hidden: ops.Tensor): ops.Tensor {
    return this.#embedding.logits(hidden);
  }
}
