import { DeftError, loadVariables, stateOf, type AdapterLayout, type Attachment, type Model, type NamedArray, type ops, type PeftMethod, type Site } from "@deft-js/core";
import { addBottleneck, type Bottleneck } from "./bottleneck.ts";
import { ADAPTER_STATE, adapterHubLayout } from "./layout.ts";
import { adapterOptions, type AdapterOptions, type AdapterSettings } from "./options.ts";

/**
 * Bottleneck adapters: h + f(z·W₁ + b₁)·W₂ + b₂ in the place of a sublayer's output h, after the MLP with z = LN(h + x)
 * (`pfeiffer`: Pfeiffer et al., 2021, arXiv:2005.00247) or after attention and MLP with z = h (`houlsby`: Houlsby et al.,
 * 2019, arXiv:1902.00751). Nothing stands after cross-attention. They cannot be merged: f is not linear.
 * @throws DeftError `options.invalid`; on attaching, `adapter.target` when the model has no such place
 */
export function adapter(settings: AdapterSettings = {}): PeftMethod {
  const options = adapterOptions(settings);
  const method: PeftMethod = { id: "adapter", options, attach: (model, rng) => new AdapterAttachment(method, options, model, rng) };
  return method;
}

class AdapterAttachment implements Attachment {
  readonly method: PeftMethod;
  readonly variables: readonly ops.Variable[];
  readonly layouts: { readonly adapterhub: AdapterLayout };
  readonly #bottlenecks: readonly Bottleneck[];

  constructor(method: PeftMethod, options: AdapterOptions, model: Model, rng: ops.Rng) {
    this.method = method;
    this.#bottlenecks = places(model, options).map((site) => addBottleneck(site, options, rng));
    this.variables = this.#bottlenecks.flatMap((one) => [one.downWeight, one.downBias, one.upWeight, one.upBias]);
    this.layouts = { adapterhub: adapterHubLayout(model, this.#bottlenecks, options) };
  }

  detach(): void {
    for (const { undo } of this.#bottlenecks) undo();
    for (const variable of this.variables) variable.dispose();
  }

  state(): readonly NamedArray[] {
    return stateOf(this.variables);
  }

  loadState(state: Iterable<NamedArray>): void {
    loadVariables(this.variables, state, ADAPTER_STATE);
  }
}

function places(model: Model, { placement }: AdapterOptions): readonly Site<"residual">[] {
  const sites = model.sites("residual").filter(({ role }) => role === "mlp" || (placement === "houlsby" && role === "attention"));
  if (sites.length > 0) return sites;
  throw new DeftError("adapter.target", `adapter: the model must have residual sites of its MLPs${placement === "houlsby" ? " or attention" : ""}, got none in family ${model.family}. Use another method.`);
}
