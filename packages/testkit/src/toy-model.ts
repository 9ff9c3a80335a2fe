import {
  classificationLoss, evaluationContext, loadParameters, ModelParts, ops, PartsModel,
  type Batch, type BuildOptions, type EmbeddingInput, type EmbeddingOutput, type ForwardContext, type ForwardResult, type Model, type ModelConfig, type ModelFamily,
  type SitePoint, type TappedActivation, type Taps,
} from "@deft-js/core";
import { ToyLayer } from "./toy-layer.ts";
import { TOY_SIZES, toySpecs, type ToySizes } from "./toy-parts.ts";

/**
 * A family of toy models: two small post-LN layers with every kind of site, for tests that must not depend on a real one.
 * The configuration holds `ToySizes`; head `sequence-classification`.
 */
export const toyFamily: ModelFamily = { id: "toy", modelTypes: ["toy"], build: buildToy };

/** A toy model with random weights that depend on the seed alone. */
export function toyModel(options: { readonly seed?: number; readonly sizes?: Partial<ToySizes> } = {}): Promise<Model> {
  return buildToy({ config: { ...options.sizes, model_type: "toy" }, head: "sequence-classification", rng: new ops.Rng(options.seed ?? 7) });
}

/** Two examples of five tokens, the second with two padded positions. The caller disposes the tensors. */
export function toyBatch(): Batch {
  const inputIds = ops.intTensor([1, 4, 2, 7, 3, 5, 6, 2, 0, 0], [2, 5]);
  const attentionMask = ops.tensor([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [2, 5]);
  return { size: 2, seq: 5, inputIds, attentionMask, labels: ops.intTensor([2, 0], [2]) };
}

async function buildToy({ config, source, rng, weightFormat, absent }: BuildOptions): Promise<Model> {
  const sizes = { ...TOY_SIZES, ...config } as ToySizes;
  const specs = toySpecs(sizes);
  const loaded = await loadParameters({ who: "toy", specs, source, rng, weightFormat, absent, names: (name) => [name], ignored: [], optionalParts: [] });
  for (const variable of loaded.variables.values()) variable.trainable = false;
  return new ToyModel({ ...config, hidden_size: sizes.dModel, model_type: "toy" }, sizes, new ModelParts(specs, loaded));
}

class ToyModel extends PartsModel {
  readonly #parts: ModelParts;
  readonly #embedding: SitePoint<"embedding">;
  readonly #layers: readonly ToyLayer[];

  constructor(config: ModelConfig, sizes: ToySizes, parts: ModelParts) {
    super({ family: "toy", config, head: "sequence-classification", parts, headParameters: [parts.parameter("classifier.weight"), parts.parameter("classifier.bias")] });
    this.#parts = parts;
    this.#embedding = parts.site({ kind: "embedding", path: "toy.embeddings", stack: "encoder", dIn: sizes.vocabulary, dOut: sizes.dModel, tokenRows: (ids) => this.#words(ids) });
    this.#layers = Array.from({ length: sizes.layers }, (_, layer) => new ToyLayer(parts, sizes, layer));
  }

  forward(batch: Batch, taps: Taps = {}, context: ForwardContext = evaluationContext): ForwardResult {
    return ops.scope(() => {
      const embedded = this.#embedding.run(batch, context, (input) => this.#embed(input));
      const mask = embedded.attentionMask;
      let hidden = embedded.hidden;
      const hiddenStates = [hidden];
      const activations: TappedActivation[] = [];
      for (const [layer, block] of this.#layers.entries()) {
        const made = block.forward(hidden, mask, context);
        hiddenStates.push((hidden = made.hidden));
        if (made.activation === undefined) continue;
        const tapped: TappedActivation = { path: made.path, stack: "encoder", layer, value: made.activation, mask };
        taps.observe?.(tapped);
        activations.push(tapped);
      }
      return { logits: this.#classify(hidden), activations: taps.activations === true ? activations : [], hiddenStates: taps.hiddenStates === true ? hiddenStates : [] };
    });
  }

  loss(result: ForwardResult, batch: Batch): ops.Tensor {
    return classificationLoss(result.logits, batch);
  }

  #words(ids: ops.Tensor): ops.Tensor {
    return ops.embedding(this.#parts.parameter("toy.embeddings.weight").value, ids);
  }

  /** Words alone, a prompt's rows in front. */
  #embed({ inputIds, attentionMask, prompt }: EmbeddingInput): EmbeddingOutput {
    const words = this.#words(inputIds);
    if (prompt === undefined) return { hidden: words, attentionMask };
    const [[batch = 0], [rows = 0, d = 0]] = [inputIds.shape, prompt.shape];
    const repeated = ops.broadcastTo(ops.reshape(prompt, [1, rows, d]), [batch, rows, d]);
    return { hidden: ops.concat([repeated, words], 1), attentionMask: ops.concat([ops.ones([batch, rows]), attentionMask], 1) };
  }

  /** The first position's hidden state → logits [batch, labels]. */
  #classify(hidden: ops.Tensor): ops.Tensor {
    const [batch = 0, , d = 0] = hidden.shape;
    const first = ops.reshape(ops.slice(hidden, [0, 0, 0], [batch, 1, d]), [batch, d]);
    return ops.linear(first, this.#parts.parameter("classifier.weight").value, { bias: this.#parts.parameter("classifier.bias").value });
  }
}
