import type { Rng, Summand, Tensor, Variable } from "@deft-js/tensor";
import type { Batch } from "./batch.ts";
import type { ForwardResult, Model, NamedArray, Taps, TappedActivation } from "./model.ts";
import type { Tokenizer } from "./task.ts";

/** A PEFT method, configured. */
export interface PeftMethod {
  /** The method's id: `lora`, `adapter`, … */
  readonly id: string;
  /** The validated options, as plain JSON: what recipes and checkpoints hold. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Installs the method on a model. Throws (`METHOD.target`) when a pattern matches nothing. */
  attach(model: Model, rng: Rng, context?: AttachContext): Attachment;
  /** Whether the matrix of the linear site with this path is never used while the method is attached: a model that is built for it leaves it unread. */
  absent?(path: string): boolean;
  /** The same method with everything run and read that this one passes over; undefined where it passes nothing over. Its attachment takes the same state. */
  whole?(): PeftMethod | undefined;
}

/** What else of a run a method may start from. */
export interface AttachContext {
  /** The model's tokenizer: for a prompt that starts from a text. */
  readonly tokenizer?: Tokenizer | undefined;
}

/** A method installed on a model: owns its variables. */
export interface Attachment {
  readonly method: PeftMethod;
  /** Everything that it trains, by path (`SITE.lora_A`, …). */
  readonly variables: readonly Variable[];
  /** Folds the change into the base weights, where that is possible, and detaches. */
  merge?(): void;
  /** Removes every wrapper and disposes the variables: the model's bits are as before. */
  detach(): void;
  /** The trainable values, matrices as held. */
  state(): readonly NamedArray[];
  /** Takes values that `state` gave. Throws `METHOD.state` on a missing, unexpected or misshapen one. */
  loadState(state: Iterable<NamedArray>): void;
  /** How the method's tensors are called in other libraries' adapter folders; absent where a layout cannot hold it. */
  readonly layouts?: { readonly peft?: AdapterLayout; readonly adapterhub?: AdapterLayout } | undefined;
}

/** One library's way of naming and configuring an adapter. */
export interface AdapterLayout {
  /** The method as this layout's files hold it, where that is another than the attachment's: a projected prefix is saved without its projection. */
  readonly method?: PeftMethod | undefined;
  /** The library's configuration, without the parts that the writer knows (base model's name). */
  config(): Record<string, unknown>;
  /** The tensors in the library's layout (matrices [dOut, dIn]) under its key names. `name` is the adapter's name (AdapterHub). */
  write(name: string): readonly NamedArray[];
  /** Takes tensors in the library's layout. Throws `METHOD.state` as `loadState` does. */
  read(tensors: ReadonlyMap<string, NamedArray>, name: string): void;
}

/** Reads a configured method back from a library's configuration; undefined when the configuration is another method's. */
export interface AdapterConfigReader {
  readonly layout: "peft" | "adapterhub";
  /** @throws DeftError `METHOD.config` when it is the method's but holds something unsupported. */
  read(config: Readonly<Record<string, unknown>>): PeftMethod | undefined;
  /** The keys of a configuration of the method's that it does not know, from a newer library for instance: they are kept and warned about by name. */
  unknownKeys?(config: Readonly<Record<string, unknown>>): readonly string[];
}

/** A term of the training objective. */
export interface LossTerm {
  /** Its name in events and metrics. */
  readonly name: string;
  /** w in Σ w·loss at a step. */
  weightAt(progress: Progress): number;
  readonly taps: Taps;
  /** The term's scalar. */
  compute(forward: ForwardResult, batch: Batch, progress: Progress): Tensor;
  /** The same over one forward pass, an activation at a time, where the term can be computed so: no layer's activation is then kept until the next one has run. */
  observer?(progress: Progress): ActivationObserver;
}

/** A loss term in one forward pass. */
export interface ActivationObserver {
  /** Takes what the term needs of an activation. The tensors that it gives live until the term's value has been taken; everything else is freed with the layer. */
  observe(activation: TappedActivation): readonly Tensor[];
  /** What the term is the sum of, once all layers have run: its value is taken after the way back, so that the values may be late (see `ops.densityPenalty`). */
  loss(): readonly Summand[];
}

/** Where the run stands. */
export interface Progress {
  /** Optimizer steps done. */
  readonly step: number;
  /** Optimizer steps planned. */
  readonly totalSteps: number;
  /** Epoch, from 0. */
  readonly epoch: number;
}
