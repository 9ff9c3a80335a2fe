import { contextDropout, ops, type ForwardContext, type ResidualInput, type Site } from "@deft-js/core";
import type { AdapterOptions } from "./options.ts";

/** The standard deviation of the first weights (AdapterHub's `init_weights: bert`). */
const DEVIATION = 0.02;

/** One adapter at a residual site: its parameters and the undo of its wrapper. */
export interface Bottleneck {
  readonly site: Site<"residual">;
  /** W₁, [dModel, m]. */
  readonly downWeight: ops.Variable;
  /** b₁, [m]. */
  readonly downBias: ops.Variable;
  /** W₂, [m, dModel]. */
  readonly upWeight: ops.Variable;
  /** b₂, [dModel]. */
  readonly upBias: ops.Variable;
  undo(): void;
}

/**
 * Puts an adapter after a sublayer: what is added to the residual stream x becomes h + f(z·W₁ + b₁)·W₂ + b₂, where h is the
 * sublayer's output and z = normalize(h + x) (pfeiffer) or h (houlsby); m = ⌊dModel / reductionFactor⌋, at least 1.
 */
export function addBottleneck(site: Site<"residual">, options: AdapterOptions, rng: ops.Rng): Bottleneck {
  const [d, m] = [site.dOut, Math.max(1, Math.floor(site.dOut / options.reductionFactor))];
  const weight = (name: string, shape: readonly [number, number]): ops.Variable => {
    const path = `${site.path}.adapter.${name}.weight`;
    return ops.Variable.from(path, rng.fork(path).normals(d * m, DEVIATION), shape);
  };
  const bias = (name: string, size: number): ops.Variable => ops.Variable.from(`${site.path}.adapter.${name}.bias`, new Float32Array(size), [size]);
  const parameters = { downWeight: weight("down", [d, m]), downBias: bias("down", m), upWeight: weight("up", [m, d]), upBias: bias("up", d) };
  const undo = site.wrap((input, base, context) => {
    const hidden = base(input);
    return ops.add(hidden, bottleneck(parameters, adapterInput(hidden, input, options), options, context));
  });
  return { site, ...parameters, undo };
}

function adapterInput(hidden: ops.Tensor, { residual, normalize }: ResidualInput, { placement }: AdapterOptions): ops.Tensor {
  return placement === "pfeiffer" ? normalize(ops.add(hidden, residual)) : hidden;
}

/** f(z·W₁ + b₁)·W₂ + b₂, then dropout; z [batch, seq, dModel]. */
function bottleneck(parameters: Omit<Bottleneck, "site" | "undo">, z: ops.Tensor, options: AdapterOptions, context: ForwardContext): ops.Tensor {
  const { downWeight, downBias, upWeight, upBias } = parameters;
  const inner = ops.linear(z, downWeight.value, { bias: downBias.value, activation: options.nonLinearity }); // [batch, seq, m]
  return contextDropout(ops.linear(inner, upWeight.value, { bias: upBias.value }), options.dropout, context);
}
