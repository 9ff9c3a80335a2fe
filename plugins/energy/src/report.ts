import type { SiteRole } from "@deft-js/core";
import type { EnergyConstants } from "./options.ts";
import type { Operations } from "./operations.ts";

/** A dense machine beside one that skips zeros. */
export interface Compared {
  readonly dense: number;
  readonly zeroSkipping: number;
  /** dense − zeroSkipping. */
  readonly skipped: number;
  /** zeroSkipping / dense, a fraction; null where the dense machine has nothing to do. */
  readonly ratio: number | null;
}

/** What the two machines do. */
export interface ComparedOperations {
  readonly macs: Compared;
  readonly bytes: Compared;
  readonly picojoules: Compared;
}

/** One linear layer. */
export interface LinearEnergy extends ComparedOperations {
  readonly path: string;
  readonly stack: "encoder" | "decoder";
  /** null outside the layers. */
  readonly layer: number | null;
  readonly role: SiteRole | null;
  readonly calls: number;
  /** Share of a down-projection's inputs that are not exactly 0, padded positions included; null elsewhere and where it never ran. */
  readonly density: number | null;
}

/** The sum over a layer's linear layers; layer null sums those outside the layers. */
export interface LayerEnergy extends ComparedOperations {
  readonly stack: "encoder" | "decoder";
  readonly layer: number | null;
}

/** What the meter `energy` reports, as plain data. */
export interface EnergyReport extends Readonly<Record<string, unknown>> {
  /** Forward passes. */
  readonly forwards: number;
  readonly constants: EnergyConstants;
  readonly linears: readonly LinearEnergy[];
  readonly layers: readonly LayerEnergy[];
  readonly total: ComparedOperations;
}

/** Puts the two machines' operations beside each other. */
export function compare(dense: Operations, zeroSkipping: Operations): ComparedOperations {
  return { macs: compared(dense.macs, zeroSkipping.macs), bytes: compared(dense.bytes, zeroSkipping.bytes), picojoules: compared(dense.picojoules, zeroSkipping.picojoules) };
}

/** Sums by stack and layer, in order of first appearance. */
export function byLayer(linears: readonly LinearEnergy[]): readonly LayerEnergy[] {
  const groups = new Map<string, LinearEnergy[]>();
  for (const linear of linears) {
    const key = `${linear.stack}.${linear.layer}`;
    groups.set(key, [...(groups.get(key) ?? []), linear]);
  }
  return [...groups.values()].flatMap((group) => group.slice(0, 1).map(({ stack, layer }) => ({ stack, layer, ...sum(group) })));
}

/** Σ over linear layers. */
export function sum(all: readonly ComparedOperations[]): ComparedOperations {
  const of = (key: keyof ComparedOperations): Compared => {
    const add = (machine: "dense" | "zeroSkipping"): number => all.reduce((total, operations) => total + operations[key][machine], 0);
    return compared(add("dense"), add("zeroSkipping"));
  };
  return { macs: of("macs"), bytes: of("bytes"), picojoules: of("picojoules") };
}

function compared(dense: number, zeroSkipping: number): Compared {
  return { dense, zeroSkipping, skipped: dense - zeroSkipping, ratio: dense === 0 ? null : zeroSkipping / dense };
}
