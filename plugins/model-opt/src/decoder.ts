import { ops, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type KeyValueCache, type LayerNorm, type LinearSite, type ModelParts, type TappedActivation, type Taps } from "@deft-js/core";
import type { OptConfig } from "./config.ts";
import { Embedding } from "./embedding.ts";
import { DecoderLayer } from "./layer.ts";
import { layerNorm } from "./norm.ts";
import { DECODER } from "./parameters.ts";

/** What the decoder gives for some positions. */
export interface Decoded extends EmbeddingOutput {
  readonly activations: readonly TappedActivation[];
  readonly hiddenStates: readonly ops.Tensor[];
}

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
  forward(pass: DecoderPass): Decoded {
    return ops.scope(() => {
      const { hidden: last, hiddenStates, ...rest } = this.#below(this.#layers.length, pass);
      const normed = this.#finalNorm?.(last, pass.context) ?? last;
      const hidden = this.#projectOut?.forward(normed, pass.context) ?? normed;
      return { ...rest, hidden, hiddenStates: hiddenStates.length === 0 ? [] : [...hiddenStates.slice(0, -1), hidden] };
    });
  }

  /** hidden·Eᵀ, [batch, seq, vocabulary]. */
  logits(hidden: ops.Tensor): ops.Tensor {
    return this.#embedding.logits(hidden);
  }

  /** The first `depth` layers. Each runs in a scope around those below it, so that one layer's tensors at a time are alive. */
  #below(depth: number, pass: DecoderPass): Decoded {
    const { input, taps, context, caches } = pass;
    return ops.scope(() => {
      const layer = this.#layers[depth - 1];
      if (layer === undefined) {
        const embedded = this.#embedding.forward(input, context);
        return { ...embedded, activations: [], hiddenStates: taps.hiddenStates === true ? [embedded.hidden] : [] };
      }
      const { hidden: below, attentionMask, activations, hiddenStates } = this.#below(depth - 1, pass);
      const { hidden, activation } = layer.forward(below, attentionMask, context, caches?.[depth - 1]);
      const tapped = taps.activations === true && activation !== undefined;
      return {
        hidden,
        attentionMask,
        activations: tapped ? [...activations, { path: layer.activationPath, stack: "decoder", layer: depth - 1, value: activation, mask: attentionMask }] : activations,
        hiddenStates: taps.hiddenStates === true ? [...hiddenStates, hidden] : hiddenStates,
      };
    });
  }
}
