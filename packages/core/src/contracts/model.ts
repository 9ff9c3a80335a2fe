import type { Rng, Tensor, Variable } from "@deft-js/tensor";
import type { Batch } from "./batch.ts";
import type { Site, SiteKind, ForwardContext } from "./site.ts";
import type { Decoding } from "./generation.ts";
import type { StoredTensor, Weight, WeightFormat } from "./weight.ts";

/** One MLP activation tapped during a forward pass. */
export interface TappedActivation {
  /** The activation site's path. */
  readonly path: string;
  readonly stack: "encoder" | "decoder";
  readonly layer: number;
  /** [batch, seq, dFf]. */
  readonly value: Tensor;
  /** Of a gated MLP, whose value is the gate f(x·W₀): what goes into the down-projection, f(x·W₀)⊙(x·W₁), of the same shape. */
  readonly product?: Tensor | undefined;
  /** float32 [batch, seq]: 1 where the position is a real one, 0 where it is padding; in a decoder that is taught, 0 where the label is −100. */
  readonly mask: Tensor;
  /** Whether the mask leaves out what has no label, as in a decoder that reads what it is taught; padding alone when left out. */
  readonly labelled?: boolean | undefined;
}

/** What a forward pass is to keep besides the logits. */
export interface Taps {
  /** The MLPs' activations. */
  readonly activations?: boolean;
  /** Hidden states after the embedding and after each layer. */
  readonly hiddenStates?: boolean;
  /** Called with each MLP activation, in order, while its layer runs: activation and whatever the call makes are freed with the layer, but for what is on hold. */
  readonly observe?: ((activation: TappedActivation) => void) | undefined;
}

/** What a forward pass gives. */
export interface ForwardResult {
  /** [batch, labels] for classification, [batch, seq, vocabulary] for language models. */
  readonly logits: Tensor;
  /** In order of layers; empty unless tapped. */
  readonly activations: readonly TappedActivation[];
  /** Embedding output first, the encoder's before the decoder's; empty unless tapped. */
  readonly hiddenStates: readonly Tensor[];
}

/** The file layouts' view of a configuration: plain JSON. */
export type ModelConfig = Readonly<Record<string, unknown>>;

/** A pretrained transformer with sites. */
export interface Model {
  /** The family that made it: `bert`, `roberta`, `t5`, … as `model_type` in config.json. */
  readonly family: string;
  readonly config: ModelConfig;
  /** What the head computes. */
  readonly head: HeadKind;
  /** The sites of a kind whose path matches; all of the kind when no pattern is given. */
  sites<K extends SiteKind>(kind: K, pattern?: RegExp): readonly Site<K>[];
  /** Runs the model. `context` is evaluation mode when left out. Call within a `scope`. */
  forward(batch: Batch, taps?: Taps, context?: ForwardContext): ForwardResult;
  /** The task's loss for the logits and the batch's labels (cross entropy, or squared error for one label). */
  loss(result: ForwardResult, batch: Batch): Tensor;
  /**
   * Begins generation from a batch's inputs, in evaluation mode; absent where the head generates nothing.
   * @throws DeftError `model.head` when the head is not `language-model`
   */
  decode?(batch: Batch): Decoding;
  /** Every parameter by its Hugging Face name (values as held: matrices [dIn, dOut]; `exportParameters` transposes back). */
  parameters(): ReadonlyMap<string, Variable>;
  /** The parameters of the trainable head, by name; empty when the head is frozen by nature (tied language-model heads). */
  headParameters(): readonly Variable[];
  /** Parameters in Hugging Face layout (matrices [dOut, dIn]), for writing a model folder; each one's values are made when they are read. */
  exportParameters(): Iterable<NamedArray>;
  /** Puts another weight (merged, quantized, masked) in the place of a linear site's. The old one is disposed, or with `keep` the caller's from now on. */
  replaceWeight(path: string, weight: Weight, options?: { readonly keep?: boolean }): void;
  dispose(): void;
}

/** The heads that a model may be loaded with. `tanh-classification` is AdapterHub's two-layer head. */
export type HeadKind = "none" | "sequence-classification" | "tanh-classification" | "masked-language-model" | "language-model";

/** A named float32 array in file layout. */
export interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Where a model's tensors come from: a folder of safetensors, or memory. Values are converted to float32. */
export interface TensorSource {
  /** All names there are. */
  names(): readonly string[];
  shape(name: string): readonly number[];
  /**
   * The values in file layout. Throws `checkpoint.missing` when there is no such tensor.
   * @param room memory of at least so many elements that the values may be put into, so that reading one tensor after another touches no fresh memory; they last until it is used again
   */
  read(name: string, room?: Float32Array): Promise<Float32Array> | Float32Array;
  /** A tensor as it is stored; absent where there are float32 values alone. */
  readRaw?(name: string): Promise<StoredTensor>;
  /** The matrix with this name as the file holds it, where that is not dense. */
  weight?(name: string): Promise<Weight> | undefined;
}

/** Options for building a model of a family. */
export interface BuildOptions {
  readonly config: ModelConfig;
  readonly head: HeadKind;
  /** Number of labels of a classification head; the config's when left out. */
  readonly labels?: number | undefined;
  /** Where the weights come from; random initialisation by the config's `initializer_range` when left out. */
  readonly source?: TensorSource | undefined;
  /** For parameters that the source lacks (a new head) and for random initialisation. */
  readonly rng: Rng;
  /** The name of a new `tanh-classification` head in parameter paths (`heads.NAME.1.weight`); `default` when left out. */
  readonly headName?: string | undefined;
  /** Whether the source's parameter with this name came with an adapter as part of its head (a pooler that was trained): where the head has it, it is one of the head's, trainable and saved with it. */
  readonly trained?: ((name: string) => boolean) | undefined;
  /** How the matrix of the linear site with this path is held; dense where it gives nothing. Encoded as it is read, so that one dense matrix at a time is alive. */
  readonly weightFormat?: ((path: string) => WeightFormat | undefined) | undefined;
  /** Linear sites whose weights are never read, since the block that they stand in is skipped; running one is an error (`weight.absent`). */
  readonly absent?: ((path: string) => boolean) | undefined;
}

/** Builds models of some `model_type`s. */
export interface ModelFamily {
  readonly id: string;
  /** The `model_type`s of config.json that it builds. */
  readonly modelTypes: readonly string[];
  /**
   * Builds a model. Missing, unexpected or misshapen tensors are errors (`checkpoint.missing`, `checkpoint.unexpected`,
   * `checkpoint.shape`); a head that the source does not have is initialised when it is a classification head.
   */
  build(options: BuildOptions): Promise<Model>;
}
