import { changeVariable, DeftError, loadVariables, ops, stateOf, type Attachment, type Model, type NamedArray, type PeftMethod, type Site } from "@deft-js/core";
import { bitfitOptions, type BitfitOptions, type BitfitSettings } from "./options.ts";

/**
 * BitFit: the biases alone are trained, those of linear layers and of layer norms (Ben Zaken et al., 2022, arXiv:2106.10199). What is held and trained is
 * each bias's change Δ, which starts at zero: y = base(x) + Δ. The gradient by Δ is that by the bias; weight decay pulls Δ, not the bias, towards zero.
 * @throws DeftError `options.invalid`; on attaching, `bitfit.target` when no bias matches, as in T5, which has none
 */
export function bitfit(settings: BitfitSettings = {}): PeftMethod {
  const options = bitfitOptions(settings);
  const method: PeftMethod = { id: "bitfit", options, attach: (model) => new BitfitAttachment(method, options, model) };
  return method;
}

/** One bias and its change. */
interface Change {
  readonly bias: ops.Variable;
  /** Δ, [dOut]. */
  readonly delta: ops.Variable;
  undo(): void;
}

class BitfitAttachment implements Attachment {
  readonly method: PeftMethod;
  readonly variables: readonly ops.Variable[];
  readonly #changes: readonly Change[];

  constructor(method: PeftMethod, options: BitfitOptions, model: Model) {
    this.method = method;
    this.#changes = biasedSites(model, options).map(({ site, bias }) => addChange(site, bias));
    this.variables = this.#changes.map(({ delta }) => delta);
  }

  merge(): void {
    for (const { bias, delta } of this.#changes) changeVariable(bias, (values) => ops.add(values, delta.value));
    this.detach();
  }

  detach(): void {
    for (const { undo } of this.#changes) undo();
    for (const variable of this.variables) variable.dispose();
  }

  state(): readonly NamedArray[] {
    return stateOf(this.variables);
  }

  loadState(state: Iterable<NamedArray>): void {
    loadVariables(this.variables, state, { who: "bitfit", code: "bitfit.state" });
  }
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
