import type { Tensor, Variable } from "@deft-js/tensor";
import type { Batch } from "../contracts/batch.ts";
import type { ForwardResult, HeadKind, Model, ModelConfig, NamedArray, Taps } from "../contracts/model.ts";
import type { ForwardContext, Site, SiteKind } from "../contracts/site.ts";
import type { Weight } from "../contracts/weight.ts";
import type { ModelParts } from "./model-parts.ts";

/** What every model over `ModelParts` is made of. */
export interface PartsModelOptions {
  readonly family: string;
  /** config.json as it is to be written. */
  readonly config: ModelConfig;
  readonly head: HeadKind;
  readonly parts: ModelParts;
  /** See `Model.headParameters`; none when left out. */
  readonly headParameters?: readonly Variable[] | undefined;
}

/** A model whose parameters and sites are `ModelParts`: what is left to its author is the forward pass and the loss. */
export abstract class PartsModel implements Model {
  readonly family: string;
  readonly config: ModelConfig;
  readonly head: HeadKind;
  readonly #parts: ModelParts;
  /** By name: a merge puts another variable in a parameter's place. */
  readonly #headNames: readonly string[];

  constructor({ family, config, head, parts, headParameters = [] }: PartsModelOptions) {
    this.family = family;
    this.config = config;
    this.head = head;
    this.#parts = parts;
    const names = new Map([...parts.parameters()].map(([name, variable]) => [variable, name]));
    this.#headNames = headParameters.flatMap((variable) => names.get(variable) ?? []);
  }

  abstract forward(batch: Batch, taps?: Taps, context?: ForwardContext): ForwardResult;

  abstract loss(result: ForwardResult, batch: Batch): Tensor;

  sites<K extends SiteKind>(kind: K, pattern?: RegExp): readonly Site<K>[] {
    return this.#parts.sites(kind, pattern);
  }

  parameters(): ReadonlyMap<string, Variable> {
    return this.#parts.parameters();
  }

  headParameters(): readonly Variable[] {
    const parameters = this.#parts.parameters();
    return this.#headNames.flatMap((name) => parameters.get(name) ?? []);
  }

  exportParameters(): Iterable<NamedArray> {
    return this.#parts.exportParameters();
  }

  replaceWeight(path: string, weight: Weight, options?: { readonly keep?: boolean }): void {
    this.#parts.replaceWeight(path, weight, options);
  }

  dispose(): void {
    this.#parts.dispose();
  }
}
