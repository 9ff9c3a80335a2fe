import { loadVariables, stateOf, targetLinears, type AdapterLayout, type Attachment, type Model, type NamedArray, type ops, type PeftMethod } from "@deft-js/core";
import { decompose, mergeDecomposition, type Decomposition } from "./decomposition.ts";
import { DORA_STATE, peftLayout } from "./layout.ts";
import { doraOptions, type DoraOptions, type DoraSettings } from "./options.ts";

/**
 * DoRA: W′ = m∘V/‖V‖ with V = W + (α/r)·A·B, the norm of each column; magnitude m and direction update A, B are trained, W is frozen and the norm counts
 * as a constant in the gradient (Liu et al., 2024, arXiv:2402.09353, equations 5 and 11). The model computes what it did before until the first step.
 * @throws DeftError `options.invalid`; on attaching, `dora.target` when the target matches no linear layer
 */
export function dora(settings: DoraSettings = {}): PeftMethod {
  const options = doraOptions(settings);
  const method: PeftMethod = { id: "dora", options, attach: (model, rng) => new DoraAttachment(method, options, model, rng) };
  return method;
}

class DoraAttachment implements Attachment {
  readonly method: PeftMethod;
  readonly variables: readonly ops.Variable[];
  readonly layouts: { readonly peft: AdapterLayout };
  readonly #model: Model;
  readonly #options: DoraOptions;
  readonly #decompositions: readonly Decomposition[];

  constructor(method: PeftMethod, options: DoraOptions, model: Model, rng: ops.Rng) {
    this.method = method;
    this.#options = options;
    this.#model = model;
    this.#decompositions = targetLinears(model, options.target, "dora").map((site) => decompose(site, options, rng));
    this.variables = this.#decompositions.flatMap(({ down, up, magnitude }) => [down, up, magnitude]);
    this.layouts = { peft: peftLayout(model, this.#decompositions, options) };
  }

  merge(): void {
    for (const one of this.#decompositions) mergeDecomposition(this.#model, one, this.#options);
    this.detach();
  }

  detach(): void {
    for (const { undo } of this.#decompositions) undo();
    for (const variable of this.variables) variable.dispose();
  }

  state(): readonly NamedArray[] {
    return stateOf(this.variables);
  }

  loadState(state: Iterable<NamedArray>): void {
    loadVariables(this.variables, state, DORA_STATE);
  }
}
