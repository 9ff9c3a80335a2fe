import { z } from "zod";

const stack = z.enum(["encoder", "decoder"]);
const layer = z.int().min(0);
const shares = z.object({
  exact: z.number(),
  exactIncludingPadding: z.number(),
  thresholded: z.array(z.object({ threshold: z.number(), share: z.number(), shareIncludingPadding: z.number() })),
});
const density = z.object({ layers: z.array(shares.extend({ stack, layer })).min(1), encoder: shares.nullable(), decoder: shares.nullable() });

const reading = z.object({ stack, layer, gate: z.number(), skipped: z.boolean() });
const gates = z.object({ layers: z.array(reading).min(1) });
const plan = z.object({
  strategy: z.string(), blocks: z.array(reading).min(1), threshold: z.number().optional(), split: z.string().optional(), metric: z.string().optional(),
  before: z.number().optional(), after: z.number().optional(),
});

const compared = z.object({ dense: z.number(), zeroSkipping: z.number(), skipped: z.number(), ratio: z.number().nullable() });
const operations = z.object({ macs: compared, bytes: compared, picojoules: compared });
const energy = z.object({
  forwards: z.number(), constants: z.object({ source: z.string(), multiply: z.number(), add: z.number(), dram: z.number() }),
  layers: z.array(operations.extend({ stack, layer: layer.nullable() })), total: operations,
});

/** A stack of layers. */
export type Stack = z.output<typeof stack>;
/** Shares of active neurons, as fractions. */
export type Shares = z.output<typeof shares>;
/** What the meter `density` reports, as far as it is shown. */
export type Density = z.output<typeof density>;
/** One block's gate. */
export type Reading = z.output<typeof reading>;
/** What the stage `gate` says: which blocks are skipped. */
export type Plan = z.output<typeof plan>;
/** What the meter `energy` reports, as far as it is shown. */
export type Energy = z.output<typeof energy>;

/** The density report of an evaluation; undefined where there is none, or another plugin's of that name. */
export function densityOf(reports: Readonly<Record<string, unknown>>): Density | undefined {
  return density.safeParse(reports["density"]).data;
}

/** The gates of an evaluation; undefined where no block has one. */
export function readingsOf(reports: Readonly<Record<string, unknown>>): readonly Reading[] | undefined {
  return gates.safeParse(reports["gates"]).data?.layers;
}

/** The energy report of an evaluation. */
export function energyOf(reports: Readonly<Record<string, unknown>>): Energy | undefined {
  return energy.safeParse(reports["energy"]).data;
}

/** The plan in what a stage said when it was done. */
export function planOf(metrics: unknown): Plan | undefined {
  return Object.values(recordOf(metrics)).map((value) => plan.safeParse(value).data).find((found) => found !== undefined);
}

/** A value's entries; none where it is no plain object. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : {};
}
