import { contextDropout, ops, replaceMatrix, type Model, type Site } from "@deft-js/core";
import type { LoraOptions } from "./options.ts";

/** The low-rank update of one linear layer: its two matrices and the undo of its wrapper. */
export interface Branch {
  readonly site: Site<"linear">;
  /** A, [dIn, rank]. */
  readonly down: ops.Variable;
  /** B, [rank, dOut]. */
  readonly up: ops.Variable;
  undo(): void;
}

/**
 * Puts s·dropout(x)·A·B beside a linear layer, with s = α/r. B starts at zero: the layer's output is unchanged at first.
 * The values depend on the generator's seed and the layer's path alone.
 */
export function addBranch(site: Site<"linear">, options: LoraOptions, rng: ops.Rng): Branch {
  const { rank, alpha, dropout } = options;
  const down = ops.Variable.from(`${site.path}.lora_A`, initial(site.dIn, options, rng.fork(`${site.path}.lora_A`)), [site.dIn, rank]);
  const up = ops.Variable.from(`${site.path}.lora_B`, new Float32Array(rank * site.dOut), [rank, site.dOut]);
  const undo = site.wrap((x, base, context) =>
    ops.lowRank(contextDropout(x, dropout, context), base(x), { down: down.value, up: up.value, scale: alpha / rank }),
  );
  return { site, down, up, undo };
}

/** Puts W + s·A·B, [dIn, dOut], in the place of the layer's weight, whatever its format was. */
export function mergeBranch(model: Model, { site, down, up }: Branch, { alpha, rank }: LoraOptions): void {
  replaceMatrix(model, site, "lora", (matrix) => ops.add(matrix, ops.scale(ops.matMul(down.value, up.value), alpha / rank)));
}

/** A's first values: kaiming_uniform(a = √5) is U(−1/√dIn, 1/√dIn). */
function initial(dIn: number, { rank, init }: LoraOptions, rng: ops.Rng): Float32Array {
  if (init === "kaiming") return rng.uniforms(dIn * rank, 1 / Math.sqrt(dIn));
  return rng.normals(dIn * rank, init === "bert" ? 0.02 : 1 / rank);
}
