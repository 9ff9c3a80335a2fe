import { loadVariables, stateOf, targetLinears, type AdapterLayout, type Attachment, type Model, type NamedArray, type ops, type PeftMethod } from "@deft-js/core";
import { addBranch, mergeBranch, type Branch } from "./branch.ts";
import { adapterHubLayout, LORA_STATE, peftLayout } from "./layouts.ts";
import { loraOptions, type LoraOptions, type LoraSettings } from "./options.ts";

/**
 * LoRA: y = x·W + b + (α/r)·(dropout(x)·A)·B with A [dIn, r] and B [r, dOut] trained and W frozen (Hu et al., 2021,
 * arXiv:2106.09685). The model computes what it did before until the first step, since B starts at zero.
 * @throws DeftError `options.invalid`; on attaching, `lora.target` when the target matches no linear layer
 */
export function lora(settings: LoraSettings = {}): PeftMethod {
  const options = loraOptions(settings);
  const method: PeftMethod = { id: "lora", options, attach: (model, rng) => new LoraAttachment(method, options, model, rng) };
  return method;
}

class LoraAttachment implements Attachment {
  readonly method: PeftMethod;
  readonly variables: readonly ops.Variable[];
  readonly layouts: { readonly peft: AdapterLayout; readonly adapterhub?: AdapterLayout };
  readonly #model: Model;
  readonly #options: LoraOptions;
  #branches: readonly Branch[];

  constructor(method: PeftMethod, options: LoraOptions, model: Model, rng: ops.Rng) {
    this.method = method;
    this.#options = options;
    this.#model = model;
    this.#branches = targetLinears(model, options.target, "lora").map((site) => addBranch(site, options, rng));
    this.variables = this.#branches.flatMap(({ down, up }) => [down, up]);
    const adapterhub = adapterHubLayout(model, this.#branches, options);
    this.layouts = { peft: peftLayout(model, this.#branches, options), ...(adapterhub === undefined ? {} : { adapterhub }) };
  }

  merge(): void {
    for (const branch of this.#branches) mergeBranch(this.#model, branch, this.#options);
    this.detach();
  }

  detach(): void {
    for (const branch of this.#branches) branch.undo();
    for (const variable of this.variables) variable.dispose();
    this.#branches = [];
  }

  state(): readonly NamedArray[] {
    return stateOf(this.variables);
  }

  loadState(state: Iterable<NamedArray>): void {
    loadVariables(this.variables, state, LORA_STATE);
  }
}
