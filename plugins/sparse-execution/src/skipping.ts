import { DeftError, DenseWeight, mlpBlocks, ops, type InstalledExecution, type MlpBlock, type Model, type Site } from "@deft-js/core";
import { breakEvenOf, measureBreakEven, type BreakEven } from "./break-even.ts";
import type { BreakEvenPoint, CommonOptions } from "./options.ts";
import { gateSelections, installSelecting, type Selecting, type SelectingOptions } from "./selecting.ts";
import { Tally } from "./tally.ts";

/** What an execution skips. */
export interface Skipping {
  /** What one layer's down-projection skips besides zeros. */
  of(block: MlpBlock): ops.SkipOptions;
  /** What is reported of a layer besides what happened. */
  describe?(block: MlpBlock): object;
  /** |gate| up to which a gated block's linear branch is not computed; 0 when left out, which changes nothing since those neurons are multiplied by 0. */
  gateThreshold?(block: MlpBlock): number;
  /** Projections of which some outputs alone are computed, in the place of what the gates tell. */
  readonly projections?: SelectingOptions["projections"] | undefined;
}

/**
 * Puts the skipping product in the place of every down-projection's dense one, nearest to the layer, so that what is attached to it (LoRA, …) stays around it, and
 * computes of a gated block's linear branch what its gate lets through. A layer whose weight is not dense float32, or that is being trained, runs as it is.
 * @throws DeftError `execution.sites` when no down-projection matches
 */
export function installSkipping(model: Model, options: CommonOptions, skip: Skipping): InstalledExecution {
  const blocks = chosenBlocks(model, options.layers);
  const points = breakEvenPoints(blocks, options.breakEven);
  const tallies = new Map(blocks.map((block) => [block, new Tally()]));
  const undos = blocks.map((block) => {
    const breakEven = breakEvenOf(points.get(shapeOf(block)) ?? []);
    return block.down.wrap(skippingProduct({ site: block.down, breakEven, skip: skip.of(block), tally: tallies.get(block) as Tally }), "pre");
  });
  const selecting = installInputs(model, blocks, options, skip);
  return {
    uninstall: () => [...undos, selecting.undo].forEach((off) => off()),
    report: () => ({
      breakEven: Object.fromEntries(points),
      ...(selecting.breakEven.size === 0 ? {} : { upBreakEven: Object.fromEntries(selecting.breakEven) }),
      layers: blocks.map((block) => {
        const inputs = [block.up, block.gate].flatMap((site) => (site === undefined ? [] : (selecting.tally(site) ?? [])));
        return { path: block.down.path, stack: block.stack, layer: block.layer, ...skip.describe?.(block), ...(tallies.get(block) as Tally).report(), ...(inputs[0] === undefined ? {} : { up: inputs[0].report() }) };
      }),
    }),
  };
}

function installInputs(model: Model, blocks: readonly MlpBlock[], { upBreakEven }: CommonOptions, { gateThreshold = () => 0, projections }: Skipping): Selecting {
  if (projections !== undefined) return installSelecting({ model, projections, points: upBreakEven, harmless: false });
  const gated = gateSelections(blocks, gateThreshold);
  const harmless = blocks.every((block) => gateThreshold(block) === 0);
  const selecting = installSelecting({ model, projections: gated.projections, points: upBreakEven, harmless });
  if (selecting.breakEven.size === 0) gated.undo(); // nothing asks: the activation stays one step with its projection
  return { ...selecting, undo: () => [selecting.undo, gated.undo].forEach((off) => off()) };
}

/** The MLP blocks whose down-projections match. Throws `execution.sites`. */
export function chosenBlocks(model: Model, layers: string | undefined): readonly MlpBlock[] {
  const all = mlpBlocks(model);
  const chosen = all.filter(({ down }) => layers === undefined || down.path.search(new RegExp(layers)) >= 0);
  if (chosen.length > 0) return chosen;
  throw new DeftError("execution.sites", `sparse execution: ${layers === undefined ? `the model must have MLP blocks` : `/${layers}/ must match a down-projection`}, got none. Known: ${all.map(({ down }) => down.path).join(", ") || "none"}. Correct the pattern, or run it densely.`);
}

interface Product {
  readonly site: Site<"linear">;
  readonly breakEven: BreakEven;
  readonly skip: ops.SkipOptions;
  readonly tally: Tally;
}

function skippingProduct({ site, breakEven, skip, tally }: Product): Parameters<Site<"linear">["wrap"]>[0] {
  const isExact = skip.threshold === undefined && skip.keep === undefined;
  return (x, base, { training }) => {
    const { weight, bias } = site;
    if (training) return base(x);
    if (!(weight instanceof DenseWeight) || !site.isOwn(base)) return base(ops.skipSmall(x, skip)); // what stands between has a say
    const point = breakEven(x.size / Math.max(1, x.shape.at(-1) ?? 1));
    if (isExact && point === 0) return base(x);
    return ops.sparseLinear(x, weight.variable.value, { ...skip, bias: bias?.value, frozen: !weight.variable.trainable, breakEven: point, onDecision: tally.add });
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
