import { attachmentOf, changeVariable, DeftError, ops, type Attachment, type Model, type PeftMethod, type Site } from "@deft-js/core";
import { bitfitOptions, type BitfitOptions, type BitfitSettings } from "./options.ts";

/**
 * BitFit: the biases alone are trained, those of linear layers and of layer norms (Ben Zaken et al., 2022, arXiv:2106.10199). What is held and trained is
 * each bias's change Δ, which starts at zero: y = base(x) + Δ. The gradient by Δ is that by the bias; weight decay pulls Δ, not the bias, towards zero.
 * @throws DeftError `options.invalid`; on attaching, `bitfit.target` when no bias matches, as in T5, which has none
 */
export function bitfit(settings: BitfitSettings = {}): PeftMethod {
  const options = bitfitOptions(settings);
  const method: PeftMethod = { id: "bitfit", options, attach: (model) => attach(method, options, model) };
  return method;
}

/** One bias and its change. */
interface Change {
  readonly bias: ops.Variable;
  /** Δ, [dOut]. */
  readonly delta: ops.Variable;
  undo(): void;
}

function attach(method: PeftMethod, options: BitfitOptions, model: Model): Attachment {
  const changes = biasedSites(model, options).map(({ site, bias }) => addChange(site, bias));
  return attachmentOf({
    method,
    variables: changes.map(({ delta }) => delta),
    undo: changes.map(({ undo }) => undo),
    fold: () => changes.forEach(({ bias, delta }) => changeVariable(bias, (values) => ops.add(values, delta.value))),
  });
}

type Biased = Site<"linear"> | Site<"norm">;

function addChange(site: Biased, bias: ops.Variable): Change {
  const delta = ops.Variable.from(`${site.path}.bias.change`, new Float32Array(site.dOut), [site.dOut]);
  const around = (x: ops.Tensor, base: (x: ops.Tensor) => ops.Tensor): ops.Tensor => ops.add(base(x), delta.value);
  return { bias, delta, undo: site.wrap(around) };
}

function biasedSites(model: Model, { target }: BitfitOptions): readonly { readonly site: Biased; readonly bias: ops.Variable }[] {
  const pattern = new RegExp(target);
  const all = [...model.sites("linear"), ...model.sites("norm")].flatMap((site) => (site.bias === undefined ? [] : [{ site, bias: site.bias }]));
  const chosen = all.filter(({ site }) => pattern.test(`${site.path}.bias`));
  if (chosen.length > 0) return chosen;
  const known = new Set(all.map(({ site }) => `${site.path}.bias`.replaceAll(/\.\d+\./g, ".*.")));
  const remedy = all.length === 0 ? `Models of family ${model.family} have no biases: use another method` : `Known: ${[...known].join(", ")}`;
  throw new DeftError("bitfit.target", `bitfit: target must match a bias, got /${target}/. ${remedy}.`);
}
