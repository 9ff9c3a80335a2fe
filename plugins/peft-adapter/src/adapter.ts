import { attachmentOf, DeftError, type Attachment, type Model, type ops, type PeftMethod, type Site } from "@deft-js/core";
import { addBottleneck } from "./bottleneck.ts";
import { adapterHubLayout } from "./layout.ts";
import { adapterOptions, type AdapterOptions, type AdapterSettings } from "./options.ts";

/**
 * Bottleneck adapters: h + f(z·W₁ + b₁)·W₂ + b₂ in the place of a sublayer's output h, after the MLP with z = LN(h + x)
 * (`pfeiffer`: Pfeiffer et al., 2021, arXiv:2005.00247) or after attention and MLP with z = h (`houlsby`: Houlsby et al.,
 * 2019, arXiv:1902.00751). Nothing stands after cross-attention. They cannot be merged: f is not linear.
 * @throws DeftError `options.invalid`; on attaching, `adapter.target` when the model has no such place
 */
export function adapter(settings: AdapterSettings = {}): PeftMethod {
  const options = adapterOptions(settings);
  const method: PeftMethod = { id: "adapter", options, attach: (model, rng) => attach(method, options, model, rng) };
  return method;
}

function attach(method: PeftMethod, options: AdapterOptions, model: Model, rng: ops.Rng): Attachment {
  const bottlenecks = places(model, options).map((site) => addBottleneck(site, options, rng));
  return attachmentOf({
    method,
    variables: bottlenecks.flatMap(({ downWeight, downBias, upWeight, upBias }) => [downWeight, downBias, upWeight, upBias]),
    undo: bottlenecks.map(({ undo }) => undo),
    layouts: { adapterhub: adapterHubLayout(model, bottlenecks, options) },
  });
}

function places(model: Model, { placement }: AdapterOptions): readonly Site<"residual">[] {
  const sites = model.sites("residual").filter(({ role }) => role === "mlp" || (placement === "houlsby" && role === "attention"));
  if (sites.length > 0) return sites;
  throw new DeftError("adapter.target", `adapter: the model must have residual sites of its MLPs${placement === "houlsby" ? " or attention" : ""}, got none in family ${model.family}. Use another method.`);
}
