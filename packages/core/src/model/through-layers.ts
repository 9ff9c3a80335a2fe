import { scope, type Tensor } from "@deft-js/tensor";
import type { TappedActivation, Taps } from "../contracts/model.ts";
import type { EmbeddingOutput } from "../contracts/site.ts";

/** What a transformer layer gives. */
export interface LayerOutput {
  /** [batch, seq, dModel]. */
  readonly hidden: Tensor;
  /** The MLP's activation [batch, seq, dFf]; undefined when a wrapper passed the MLP over. */
  readonly activation?: Tensor | undefined;
  /** See `TappedActivation.product`. */
  readonly product?: Tensor | undefined;
}

/** A stack of layers and what goes into it. */
export interface LayerPass<L> {
  readonly stack: "encoder" | "decoder";
  readonly layers: readonly L[];
  readonly taps: Taps;
  /** What goes into the first layer. */
  embed(): EmbeddingOutput;
  /** Runs a layer on x [batch, seq, dModel] under the embedding's mask. */
  run(layer: L, at: { readonly index: number; readonly x: Tensor; readonly mask: Tensor }): LayerOutput;
  /** The mask of the taps [batch, seq]; the embedding's when left out. */
  readonly real?: Tensor | undefined;
}

/** What comes out of the last layer, and what was tapped on the way. */
export interface Passed extends EmbeddingOutput {
  readonly activations: readonly TappedActivation[];
  /** The embedding's output, then each layer's. */
  readonly hiddenStates: readonly Tensor[];
}

/** Runs the layers one after the other, each in a scope around those below it, so that one layer's tensors at a time are alive. */
export function throughLayers<L extends { readonly activationPath: string }>(pass: LayerPass<L>): Passed {
  const { stack, layers, taps, real } = pass;
  const upTo = (depth: number): Passed =>
    scope(() => {
      const layer = layers[depth - 1];
      if (layer === undefined) {
        const embedded = pass.embed();
        return { ...embedded, activations: [], hiddenStates: taps.hiddenStates === true ? [embedded.hidden] : [] };
      }
      const { hidden: x, attentionMask: mask, activations, hiddenStates } = upTo(depth - 1);
      const { hidden, activation, product } = pass.run(layer, { index: depth - 1, x, mask });
      const tapped: TappedActivation | undefined = activation === undefined ? undefined : { path: layer.activationPath, stack, layer: depth - 1, value: activation, ...(product === undefined ? {} : { product }), mask: real ?? mask, labelled: real !== undefined };
      if (tapped !== undefined) taps.observe?.(tapped);
      return {
        hidden,
        attentionMask: mask,
        activations: tapped !== undefined && taps.activations === true ? [...activations, tapped] : activations,
        hiddenStates: taps.hiddenStates === true ? [...hiddenStates, hidden] : hiddenStates,
      };
    });
  return upTo(layers.length);
}
