import { DeftError, DenseWeight, mlpBlocks, ops, type InstalledExecution, type MlpBlock, type Model, type Site } from "@deft-js/core";
import { breakEvenOf, measureBreakEven, type BreakEven } from "./break-even.ts";
import type { BreakEvenPoint, CommonOptions } from "./options.ts";

/** What was decided at one down-projection. */
interface Tally {
  calls: number;
  skipped: number;
  density: number;
}

/** What one layer skips besides zeros. */
export type SkipOf = (block: MlpBlock) => ops.SkipOptions;

/**
 * Puts the skipping product in the place of every down-projection's dense one, nearest to the layer, so that what is attached to it (LoRA, …) stays around it. A
 * layer whose weight is not dense float32, or that is being trained, runs as it is.
 * @throws DeftError `execution.sites` when no down-projection matches
 */
export function installSkipping(model: Model, options: CommonOptions, skip: { readonly of: SkipOf; readonly describe?: (block: MlpBlock) => object }): InstalledExecution {
  const blocks = chosenBlocks(model, options.layers);
  const points = breakEvenPoints(blocks, options.breakEven);
  const tallies = new Map(blocks.map((block) => [block, { calls: 0, skipped: 0, density: 0 } satisfies Tally]));
  const undo = blocks.map((block) => {
    const breakEven = breakEvenOf(points.get(shapeOf(block)) ?? []);
    return block.down.wrap(skippingProduct({ site: block.down, breakEven, skip: skip.of(block), tally: tallies.get(block) as Tally }), "pre");
  });
  return {
    uninstall: () => undo.forEach((off) => off()),
    report: () => ({
      breakEven: Object.fromEntries(points),
      layers: blocks.map((block) => {
        const { calls, skipped, density } = tallies.get(block) as Tally;
        return { path: block.down.path, stack: block.stack, layer: block.layer, ...skip.describe?.(block), calls, skipped, density: calls === 0 ? null : density / calls };
      }),
    }),
  };
}

/** The MLP blocks whose down-projections match. Throws `execution.sites`. */
export function chosenBlocks(model: Model, layers: string | undefined): readonly MlpBlock[] {
  const all = mlpBlocks(model);
  const chosen = all.filter(({ down }) => layers === undefined || down.path.search(new RegExp(layers)) >= 0);
  if (chosen.length > 0) return chosen;
  throw new DeftError("execution.sites", `sparse execution: ${layers === undefined ? "the model must have MLP blocks" : `/${layers}/ must match a down-projection`}, got none. Known: ${all.map(({ down }) => down.path).join(", ") || "none"}.`);
}

interface Product {
  readonly site: Site<"linear">;
  readonly breakEven: BreakEven;
  readonly skip: ops.SkipOptions;
  readonly tally: Tally;
}

function skippingProduct({ site, breakEven, skip, tally }: Product): Parameters<Site<"linear">["wrap"]>[0] {
  const onDecision = ({ density, skipped }: ops.SparseDecision): void => {
    tally.calls++;
    tally.density += density;
    if (skipped) tally.skipped++;
  };
  const isExact = skip.threshold === undefined && skip.keep === undefined;
  return (x, base, { training }) => {
    const { weight, bias } = site;
    if (training) return base(x);
    if (!(weight instanceof DenseWeight)) return base(ops.skipSmall(x, skip));
    const point = breakEven(x.size / Math.max(1, x.shape.at(-1) ?? 1));
    if (isExact && point === 0) return base(x);
    return ops.sparseLinear(x, weight.variable.value, { ...skip, bias: bias?.value, frozen: !weight.variable.trainable, breakEven: point, onDecision });
  };
}

/** By shape: as given, or measured on the matrices of that shape. */
function breakEvenPoints(blocks: readonly MlpBlock[], given: readonly BreakEvenPoint[] | undefined): ReadonlyMap<string, readonly BreakEvenPoint[]> {
  const weights = new Map<string, ops.Tensor[]>();
  for (const block of blocks) {
    const { weight } = block.down;
    const known = weights.get(shapeOf(block)) ?? [];
    weights.set(shapeOf(block), weight instanceof DenseWeight ? [...known, weight.variable.value] : known);
  }
  return new Map([...weights].map(([shape, matrices]) => [shape, given ?? measureBreakEven(matrices)]));
}

const shapeOf = ({ down }: MlpBlock): string => `${down.dIn}x${down.dOut}`;
