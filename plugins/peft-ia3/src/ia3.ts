import { loadVariables, stateOf, targetLinears, type AdapterLayout, type Attachment, type Model, type NamedArray, type ops, type PeftMethod } from "@deft-js/core";
import { IA3_STATE, peftLayout } from "./layout.ts";
import { ia3Options, type Ia3Options, type Ia3Settings } from "./options.ts";
import { addScale, mergeScale, type Scale } from "./scale.ts";

/**
 * IA3: keys, values and the MLP's activation are multiplied by learned vectors, l∘(x·W + b) and (l∘a)·W₂ + b₂; W stays frozen (Liu et al., 2022,
 * arXiv:2205.05638, section 3.3). The model computes what it did before until the first step, since l starts at one.
 * @throws DeftError `options.invalid`; on attaching, `ia3.target` when the target matches no linear layer
 */
export function ia3(settings: Ia3Settings = {}): PeftMethod {
  const options = ia3Options(settings);
  const method: PeftMethod = { id: "ia3", options, attach: (model) => new Ia3Attachment(method, options, model) };
  return method;
}

class Ia3Attachment implements Attachment {
  readonly method: PeftMethod;
  readonly variables: readonly ops.Variable[];
  readonly layouts: { readonly peft: AdapterLayout };
  readonly #model: Model;
  readonly #scales: readonly Scale[];

  constructor(method: PeftMethod, options: Ia3Options, model: Model) {
    const feedforward = new RegExp(options.feedforward);
    this.method = method;
    this.#model = model;
    this.#scales = targetLinears(model, options.target, "ia3").map((site) => addScale(site, feedforward.test(site.path)));
    this.variables = this.#scales.map(({ vector }) => vector);
    this.layouts = { peft: peftLayout(model, this.#scales, options) };
  }

  merge(): void {
    for (const scale of this.#scales) mergeScale(this.#model, scale);
    this.detach();
  }

  detach(): void {
    for (const { undo } of this.#scales) undo();
    for (const variable of this.variables) variable.dispose();
  }

  state(): readonly NamedArray[] {
    return stateOf(this.variables);
  }

  loadState(state: Iterable<NamedArray>): void {
    loadVariables(this.variables, state, IA3_STATE);
  }
}
