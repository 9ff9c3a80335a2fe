import { contextDropout, DeftError, ops, replaceMatrix, type ForwardContext, type Model, type Site, type Weight } from "@deft-js/core";
import type { DoraOptions } from "./options.ts";

/** A linear layer as magnitude and direction: what is trained of it and the undo of its wrapper. */
export interface Decomposition {
  readonly site: Site<"linear">;
  /** A, [dIn, rank]. */
  readonly down: ops.Variable;
  /** B, [rank, dOut]. */
  readonly up: ops.Variable;
  /** m, [dOut]. */
  readonly magnitude: ops.Variable;
  /** ‖W‖ of each column when it was taken apart. */
  readonly norms: Float32Array;
  undo(): void;
}

/**
 * Puts W′ = m∘(W + s·A·B)/‖W + s·A·B‖ in the place of a linear layer's W, with s = α/r and the norm of each column, over dIn. B starts at zero and m at
 * ‖W‖: the layer's output is unchanged at first.
 * @throws DeftError `dora.weight` when the site has no weight
 */
export function decompose(site: Site<"linear">, options: DoraOptions, rng: ops.Rng): Decomposition {
  const { rank } = options;
  const { path, dIn, dOut } = site;
  const down = ops.Variable.from(`${path}.lora_A`, rng.fork(`${path}.lora_A`).uniforms(dIn * rank, 1 / Math.sqrt(dIn)), [dIn, rank]);
  const up = ops.Variable.from(`${path}.lora_B`, new Float32Array(rank * dOut), [rank, dOut]);
  const magnitude = new ops.Variable(`${path}.lora_magnitude_vector`, ops.scope(() => columnNorms(weightOf(site).dense())));
  const made = { site, down, up, magnitude, norms: magnitude.data() };
  const undo = site.wrap((x, base, context) => output(made, options, { x, base: base(x), own: site.isOwn(base), context }));
  return { ...made, undo };
}

/**
 * Puts W′ in the place of the layer's weight.
 * @throws DeftError `dora.weight` when W is not the one that was taken apart: something else was merged into it, and the norms are no longer those of the forward pass
 */
export function mergeDecomposition(model: Model, parts: Decomposition, options: DoraOptions): void {
  const { path } = parts.site;
  const norms = ops.scope(() => ops.read(columnNorms(weightOf(parts.site).dense())));
  if (norms.some((norm, i) => norm !== parts.norms[i])) throw new DeftError("dora.weight", `dora: the weight of ${path} must be the one that DoRA was attached to, got another. Merge DoRA alone on its layers.`);
  replaceMatrix(model, parts.site, "dora", () => {
    const matrix = direction(parts, options);
    return ops.mul(matrix, ops.div(parts.magnitude.value, columnNorms(matrix)));
  });
}

function weightOf({ path, weight }: Site<"linear">): Weight {
  if (weight === undefined) throw new DeftError("dora.weight", `dora: a linear site must have a weight to take apart, got none at ${path}. Choose another target.`);
  return weight;
}

/** V = W + s·A·B, [dIn, dOut]. */
function direction({ site, down, up }: Pick<Decomposition, "site" | "down" | "up">, { alpha, rank }: DoraOptions): ops.Tensor {
  return ops.add(weightOf(site).dense(), ops.scale(ops.matMul(down.value, up.value), alpha / rank));
}

/** ‖V‖ of each column, [dOut]. */
function columnNorms(matrix: ops.Tensor): ops.Tensor {
  return ops.sqrt(ops.sum(ops.square(matrix), { axes: [0] }));
}

/**
 * y = (x·W + b) + (g − 1)∘(x̃·W) + g∘s·(x̃·A)·B with g = m/‖V‖ and x̃ = dropout(x). The norm counts as a constant (section 4.3 of the paper). This form
 * gives the base's own bits while g = 1 and B = 0. What stands between the two is not scaled: merged, it is no part of W′.
 */
function output(parts: Omit<Decomposition, "undo" | "norms">, options: DoraOptions, { x, base, own, context }: { x: ops.Tensor; base: ops.Tensor; own: boolean; context: ForwardContext }): ops.Tensor {
  const { site, down, up, magnitude } = parts;
  const norms = ops.noGradient(() => columnNorms(direction(parts, options)));
  const gain = ops.div(magnitude.value, norms);
  const dropped = contextDropout(x, options.dropout, context);
  const plain = dropped !== x || !own ? weightOf(site).apply(dropped) : site.bias === undefined ? base : ops.sub(base, site.bias.value); // x̃·W
  const branch = ops.lowRank(dropped, ops.zeros(base.shape), { down: down.value, up: up.value, scale: options.alpha / options.rank });
  return ops.add(base, ops.add(ops.mul(plain, ops.sub(gain, ops.ones(gain.shape))), ops.mul(branch, gain)));
}
