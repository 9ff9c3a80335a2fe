import { DeftError, ops, transposeMatrix, type Model, type Site } from "@deft-js/core";
import { columnNorms, type Calibration } from "./calibration.ts";
import { masked, MaskedWeight, packMask } from "./masked-weight.ts";
import type { Amount, PruneOptions } from "./options.ts";
import { parsePattern, shareOf, smallestByRowSums, smallestOfGroups, smallestOfMatrix, smallestOfRows, type Removed, type Scores } from "./selection.ts";

const SPARSITY = 0.5;

/** What pruning needs of a model. */
export type Prunable = Pick<Model, "sites" | "headParameters" | "replaceWeight">;

/** One pruned layer. */
export interface PrunedLayer {
  readonly path: string;
  /** [dIn, dOut]. */
  readonly shape: readonly [number, number];
  /** Share of its weights that are 0 by the mask. */
  readonly sparsity: number;
}

/** What pruning a model came to. */
export interface PruningReport {
  readonly method: "magnitude" | "wanda";
  readonly layers: readonly PrunedLayer[];
  /** Share of all weights of the pruned layers. */
  readonly sparsity: number;
  /** Examples that calibration ran. */
  readonly samples?: number | undefined;
}

/**
 * Removes weights of a model's linear layers: their places hold 0 from now on, under a mask that merging and quantizing keep.
 *
 * `magnitude`: the smallest |W|. `wanda`: the smallest |W|·‖x‖ within each output's row (Sun et al., 2024, arXiv:2306.11695, equation 1); layer after layer, each scored
 * on the outputs of the pruned ones before it.
 * @throws DeftError `prune.target` when no layer is matched, `prune.calibration` when WANDA has none
 */
export async function pruneModel(model: Prunable, options: PruneOptions, calibration?: Calibration): Promise<PruningReport> {
  const { magnitude, wanda } = options;
  const sites = targets(model, (magnitude ?? wanda)?.target ?? "");
  if (magnitude !== undefined) return reportOf("magnitude", sites.map((site) => prune(model, site, (scores) => byMagnitude(scores, magnitude))));
  if (wanda === undefined || calibration === undefined) throw new DeftError("prune.calibration", "prune: wanda must have examples to run, got none. Name a task under calibration.");
  const layers: PrunedLayer[] = [];
  for (const group of inOrder(sites)) {
    const norms = await columnNorms(group, calibration);
    for (const site of group) layers.push(prune(model, site, (scores) => byWanda(weighted(scores, norms.get(site.path) as Float32Array), wanda)));
  }
  return reportOf("wanda", layers);
}

function targets(model: Prunable, target: string): readonly Site<"linear">[] {
  const heads = new Set(model.headParameters().map(({ path }) => path));
  const usable = model.sites("linear").filter(({ path, weight }) => weight !== undefined && weight.format !== "absent" && !heads.has(`${path}.weight`));
  const found = usable.filter(({ path }) => new RegExp(target).test(path));
  if (found.length === 0) throw new DeftError("prune.target", `prune: target must match a linear layer, got /${target}/. Known: ${usable.slice(0, 6).map(({ path }) => path).join(", ")}${usable.length > 6 ? ", …" : ""}.`);
  return found;
}

/** Groups of sites that are scored on one pass: those of one layer of one stack, in the model's order. */
function inOrder(sites: readonly Site<"linear">[]): readonly (readonly Site<"linear">[])[] {
  const groups = new Map<string, Site<"linear">[]>();
  for (const site of sites) {
    const key = site.layer === undefined ? site.path : `${site.stack}/${site.layer}`;
    groups.set(key, [...(groups.get(key) ?? []), site]);
  }
  return [...groups.values()];
}

function prune(model: Prunable, { path, weight }: Site<"linear">, select: (scores: Scores) => Removed): PrunedLayer {
  if (weight === undefined) throw new DeftError("prune.weight", `prune: ${path} must have a weight, got none. Leave it out of the target.`);
  const [dIn, dOut] = weight.shape;
  const values = transposeMatrix(ops.scope(() => ops.read(weight.dense())), dIn, dOut); // [dOut, dIn]
  const earlier = weight instanceof MaskedWeight ? weight : undefined;
  const removed = select({ values: values.map(Math.abs), dOut, dIn }).map((flag, i) => (earlier?.removes(i) === true ? 1 : flag)); // what was removed stays so
  const inner = earlier === undefined ? weight.encoding : earlier.inner; // a quantized matrix stays quantized
  const next = masked(packMask(removed), inner).encode(path, values, { dOut, dIn });
  model.replaceWeight(path, next);
  return { path, shape: [dIn, dOut], sparsity: shareOf(removed) };
}

const shareIn = ({ sparsity = SPARSITY }: Amount): number => sparsity;

function byMagnitude(scores: Scores, options: Amount & { readonly scope?: "matrix" | "row" | undefined }): Removed {
  if (options.pattern !== undefined) return smallestOfGroups(scores, parsePattern(options.pattern));
  return options.scope === "row" ? smallestOfRows(scores, shareIn(options)) : smallestOfMatrix(scores, shareIn(options));
}

function byWanda(scores: Scores, options: Amount & { readonly variant: boolean }): Removed {
  if (options.pattern !== undefined) return smallestOfGroups(scores, parsePattern(options.pattern));
  return options.variant ? smallestByRowSums(scores, shareIn(options)) : smallestOfRows(scores, shareIn(options));
}

/** |W|·‖x‖, in float32 as the reference computes it. */
function weighted({ values, dOut, dIn }: Scores, norms: Float32Array): Scores {
  const roots = norms.map(Math.sqrt);
  return { values: values.map((value, i) => value * (roots[i % dIn] as number)), dOut, dIn };
}

function reportOf(method: PruningReport["method"], layers: readonly PrunedLayer[]): PruningReport {
  const size = ({ shape: [dIn, dOut] }: PrunedLayer): number => dIn * dOut;
  const total = layers.reduce((sum, layer) => sum + size(layer), 0);
  return { method, layers, sparsity: layers.reduce((sum, layer) => sum + layer.sparsity * size(layer), 0) / total };
}
