import { DeftError } from "@deft-js/core";
import { z } from "zod";

const picojoules = z.number().nonnegative();

const constantsSchema = z.strictObject({
  source: z.string().min(1).describe("where the figures come from"),
  multiply: picojoules.describe("pJ of one float32 multiplication"),
  add: picojoules.describe("pJ of one float32 addition"),
  dram: picojoules.describe("pJ of moving 32 bits from or to DRAM"),
});

/** The schema of the meter `energy`. The constants are required, so that the meter is on only where a recipe asks for it. */
export const energySchema = z.strictObject({
  constants: z.union([z.literal("horowitz-2014"), constantsSchema]).describe("energies of the operations: horowitz-2014, or your own with their source"),
});

/** Energies of the operations that are counted, in picojoules. */
export type EnergyConstants = z.output<typeof constantsSchema>;
/** The options of the meter `energy`. */
export type EnergyOptions = z.input<typeof energySchema>;

/** 45 nm at 0.9 V: float32 multiplication 3.7 pJ, addition 0.9 pJ, DRAM access of 32 bits 640 pJ (the low end of the paper's 1.3–2.6 nJ for 64 bits). */
export const HOROWITZ_2014: EnergyConstants = Object.freeze({
  source: "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, 45 nm, float32",
  multiply: 3.7,
  add: 0.9,
  dram: 640,
});

/** The constants that validated options name. Throws `options.invalid`. */
export function constantsOf(options: EnergyOptions): EnergyConstants {
  const result = energySchema.safeParse(options);
  if (!result.success)
    throw new DeftError("options.invalid", `energy meter: constants must be horowitz-2014 or { source, multiply, add, dram } with energies in pJ of at least 0, got ${JSON.stringify(options)}. Correct them.`);
  return result.data.constants === "horowitz-2014" ? HOROWITZ_2014 : result.data.constants;
}
