import { ops, type MlpBlock, type Model, type Site } from "@deft-js/core";
import { breakEvenOf, measureBreakEven, skips, SKIPPING_OUTPUTS, type BreakEven } from "./break-even.ts";
import type { BreakEvenPoint } from "./options.ts";
import { holdByRows, RowWeight } from "./row-weight.ts";
import { Tally } from "./tally.ts";

/** Which outputs of a projection into the MLP are wanted in the present pass; undefined when all are. */
export type Selection = () => { readonly select: ops.Tensor; readonly threshold?: number | undefined } | undefined;

/** What is put around the projections into the MLP's blocks. */
export interface SelectingOptions {
  readonly model: Model;
  /** The projections of each block of which some outputs alone are computed, and which. */
  readonly projections: readonly { readonly site: Site<"linear">; readonly selection: Selection }[];
  /** As given, or measured. */
  readonly points?: readonly BreakEvenPoint[] | undefined;
  /** Whether what is not wanted may be computed all the same: the outputs that it goes into are zeros anyway. */
  readonly harmless: boolean;
}

/** Projections of which some outputs alone are computed. */
export interface Selecting {
  readonly breakEven: ReadonlyMap<string, readonly BreakEvenPoint[]>;
  tally(site: Site<"linear">): Tally | undefined;
  undo(): void;
}

/**
 * Computes of the projections what is wanted alone, from matrices that are held by rows while this is in force. Where skipping cannot pay on this machine and
 * computing all does no harm, the projections stay as they are.
 */
export function installSelecting({ model, projections, points: given, harmless }: SelectingOptions): Selecting {
  const pays = projections.length > 0 && (!harmless || canSkip(given));
  const chosen = pays ? projections : [];
  const undos = chosen.flatMap(({ site }) => holdByRows(model, site) ?? []);
  const breakEven = pointsByShape(chosen.map(({ site }) => site), given);
  const tallies = new Map(chosen.map(({ site }) => [site, new Tally()]));
  for (const { site, selection } of chosen) {
    const around = selectedProduct({ site, selection, harmless, breakEven: breakEvenOf(breakEven.get(shapeOf(site)) ?? []), tally: tallies.get(site) as Tally });
    undos.push(site.wrap(around, "pre"));
  }
  return { breakEven, tally: (site) => tallies.get(site), undo: () => undos.reverse().forEach((off) => off()) };
}

interface Product {
  readonly site: Site<"linear">;
  readonly selection: Selection;
  readonly harmless: boolean;
  readonly breakEven: BreakEven;
  readonly tally: Tally;
}

function selectedProduct({ site, selection, harmless, breakEven, tally }: Product): Parameters<Site<"linear">["wrap"]>[0] {
  return (x, base, { training }) => {
    const wanted = training ? undefined : selection();
    if (wanted === undefined) return base(x);
    const { weight, bias } = site;
    const rows = x.size / Math.max(1, x.shape.at(-1) ?? 1);
    if (weight instanceof RowWeight && site.isOwn(base)) return ops.selectedLinear(x, weight.variable.value, { ...wanted, bias: bias?.value, frozen: true, breakEven: breakEven(rows), onDecision: tally.add });
    return harmless ? base(x) : ops.keepSelected(base(x), wanted);
  };
}

/** Whether the back-end leaves outputs out, and some number of tokens is given at which that pays. */
function canSkip(given: readonly BreakEvenPoint[] | undefined): boolean {
  return given?.every(({ density }) => density === 0) !== true && ops.scope(() => skips(ops.ones([2, 2]), SKIPPING_OUTPUTS));
}

function pointsByShape(sites: readonly Site<"linear">[], given: readonly BreakEvenPoint[] | undefined): ReadonlyMap<string, readonly BreakEvenPoint[]> {
  const matrices = new Map<string, ops.Tensor[]>();
  for (const site of sites) {
    const { weight } = site;
    const known = matrices.get(shapeOf(site)) ?? [];
    matrices.set(shapeOf(site), weight instanceof RowWeight ? [...known, weight.variable.value] : known);
  }
  return new Map([...matrices].map(([shape, weights]) => [shape, given ?? measureBreakEven(weights, SKIPPING_OUTPUTS)]));
}

const shapeOf = ({ dIn, dOut }: Site<"linear">): string => `${dIn}x${dOut}`;

/** The gate's activation of each gated block in the present pass, as the linear branch beside it finds it. */
export function gateSelections(blocks: readonly MlpBlock[], thresholdOf: (block: MlpBlock) => number): { readonly projections: SelectingOptions["projections"]; undo(): void } {
  const undos: (() => void)[] = [];
  const projections = blocks.flatMap((block) => {
    if (block.gate === undefined) return [];
    const threshold = thresholdOf(block);
    let gate: ops.Tensor | undefined;
    // what is attached to the linear branch adds to what was left out: the gate is 0 there all the same
    undos.push(block.activation.wrap((x, base, { training }) => (gate = training ? base(x) : ops.skipSmall(base(x), { threshold })), "post"));
    const selection: Selection = () => {
      const select = gate;
      gate = undefined; // of this pass alone
      return select === undefined || select.isDisposed ? undefined : { select, threshold };
    };
    return [{ site: block.up, selection }];
  });
  return { projections, undo: () => undos.forEach((off) => off()) };
}
