import { DeftError, mlpBlocks, type Meter, type MlpBlock, type Model, type Site } from "@deft-js/core";
import { denseInputs, operationsOf, sparseInputs, withoutSkipping, type Inputs, type LinearShape } from "./operations.ts";
import { constantsOf, type EnergyConstants, type EnergyOptions } from "./options.ts";
import { byLayer, compare, sum, type EnergyReport, type LinearEnergy } from "./report.ts";

interface Tally {
  readonly place: Pick<LinearEnergy, "path" | "stack" | "layer" | "role">;
  readonly shape: LinearShape;
  inputs: Inputs;
}

/** Counts operations, bytes and energy of a model's linear layers over an evaluation: see `energyMeter`. */
export class EnergyMeter implements Meter {
  readonly id = "energy";
  readonly taps = {} as const;
  readonly #constants: EnergyConstants;
  /** By path of the linear site. */
  readonly #tallies = new Map<string, Tally>();
  #forwards = 0;

  constructor(constants: EnergyConstants) {
    this.#constants = constants;
  }

  /** Hooks the linear sites, nearest to their matrices; values pass unchanged. Throws `energy.sites` when the model has no MLP blocks. */
  begin(model: Model): () => void {
    const blocks = mlpBlocks(model);
    if (blocks.length === 0) throw new DeftError("energy.sites", "energy meter: the model must have MLP blocks whose linear sites carry the roles mlp-up and mlp-down, got none. Leave the meter out for this model.");
    const linears = model.sites("linear");
    for (const site of linears) this.#tallies.set(site.path, tallyOf(site));
    const ofBlocks = new Set(blocks.flatMap(({ up, gate, down }) => [up.path, gate?.path, down.path]));
    const others = linears.filter(({ path }) => !ofBlocks.has(path));
    const undo = [...blocks.flatMap((block) => this.#watchBlock(block)), ...others.map((site) => this.#watch(site))];
    return () => undo.forEach((off) => off());
  }

  /** Counts the pass; its work was counted while it ran. Throws `energy.begin` when the meter was not begun with the model. */
  add(): void {
    if (this.#tallies.size === 0) throw new DeftError("energy.begin", "energy meter: must see the model before its passes, got a pass without `begin`. Call begin(model), or use evaluate.");
    this.#forwards++;
  }

  report(): EnergyReport {
    const linears = [...this.#tallies.values()].map((tally) => this.#linear(tally));
    return { forwards: this.#forwards, constants: this.#constants, linears, layers: byLayer(linears), total: sum(linears) };
  }

  reset(): void {
    this.#tallies.clear();
    this.#forwards = 0;
  }

  /** Up and gate are counted at the block's own site: unhooked, they keep their product fused with the activation. A block that is skipped is not reached. */
  #watchBlock({ mlp, up, gate, down }: MlpBlock): readonly (() => void)[] {
    const dense = gate === undefined ? [up] : [up, gate];
    const ahead = mlp.wrap((x, base) => {
      for (const site of dense) this.#count(site, denseInputs(x.size / site.dIn, site.dIn));
      return base(x);
    }, "pre");
    const behind = down.wrap((x, base) => {
      this.#count(down, sparseInputs(x, down.dIn));
      return base(x);
    }, "pre");
    return [ahead, behind];
  }

  #watch(site: Site<"linear">): () => void {
    return site.wrap((x, base) => {
      this.#count(site, denseInputs(x.size / site.dIn, site.dIn));
      return base(x);
    }, "pre");
  }

  #count({ path }: Site<"linear">, more: Inputs): void {
    const tally = this.#tallies.get(path);
    if (tally === undefined) return; // reset while hooked: nothing is being measured
    const { calls, rows, nonzeros, weightRows } = tally.inputs;
    tally.inputs = { calls: calls + more.calls, rows: rows + more.rows, nonzeros: nonzeros + more.nonzeros, weightRows: weightRows + more.weightRows };
  }

  #linear({ place, shape, inputs }: Tally): LinearEnergy {
    const dense = withoutSkipping(inputs, shape.dIn);
    const density = place.role === "mlp-down" && dense.nonzeros > 0 ? inputs.nonzeros / dense.nonzeros : null;
    return { ...place, calls: inputs.calls, density, ...compare(operationsOf(shape, dense, this.#constants), operationsOf(shape, inputs, this.#constants)) };
  }
}

/**
 * A meter of the work that a machine skipping zeros would save: for each linear layer, each layer and in total the multiply-accumulates, the bytes moved and the
 * energy E = MACs·(e_multiply + e_add) + bytes/4·e_DRAM of a dense machine and of one that skips every exact zero going into an MLP's down-projection.
 * An estimate from counts: no control, no on-chip memory, no leakage; attention products, norms, embeddings and what methods add are left out. Throws `options.invalid`.
 */
export function energyMeter(options: EnergyOptions): EnergyMeter {
  return new EnergyMeter(constantsOf(options));
}

function tallyOf({ path, stack, layer, role, dIn, dOut, weight }: Site<"linear">): Tally {
  return {
    place: { path, stack, layer: layer ?? null, role: role ?? null },
    shape: { dIn, dOut, weightBytes: weight?.bytes ?? 4 * dIn * dOut },
    inputs: { calls: 0, rows: 0, nonzeros: 0, weightRows: 0 },
  };
}
