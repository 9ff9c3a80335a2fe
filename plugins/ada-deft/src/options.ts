import { DeftError, LEAST_EPSILON } from "@deft-js/core";
import { z } from "zod";

const skip = z
  .array(z.strictObject({ path: z.string().describe("the path of the block's mlp site"), weights: z.array(z.string()).describe("the paths of its linear layers, which are never read"), theta: z.number().optional().describe("the gate's parameter, with which the block may be run again; 1 as its gate when left out") }))
  .default([])
  .describe("blocks that are passed over: a plan, as the stage gate makes it");

/** The schema of the method `gates`: one of three strategies. */
export const gatesSchema = z.discriminatedUnion("strategy", [
  z.strictObject({
    strategy: z.literal("scalar").describe("g = θ"),
    start: z.number().min(-100).max(100).default(1).describe("the gates' value before training"),
    skip,
  }),
  z.strictObject({
    strategy: z.literal("sigmoid").describe("g = σ(θ/T), T falling over the run"),
    start: z.number().gt(0).lt(1).default(0.95).describe("the gates' value at the first step"),
    temperature: z.strictObject({ from: z.number().positive().default(1), to: z.number().positive().default(0.1) }).prefault({}).describe("T at the first step and at the last, by equal factors between; evaluation takes the last"),
    skip,
  }),
  z.strictObject({
    strategy: z.literal("hard-concrete").describe("a stretched, clipped concrete variable while training (arXiv:1712.01312)"),
    start: z.number().gt(0).lt(1).default(0.95).describe("σ(log α) before training"),
    beta: z.number().gt(0).lt(1).default(2 / 3).describe("β, the concrete distribution's temperature"),
    low: z.number().lt(0).default(-0.1).describe("γ, the stretch's lower end"),
    high: z.number().gt(1).default(1.1).describe("ζ, its upper end"),
    skip,
  }),
]);

/** Options of `gates` as a caller gives them. */
export type GatesSettings = z.input<typeof gatesSchema>;
/** The validated options: plain JSON. */
export type GatesOptions = z.output<typeof gatesSchema>;
/** A block that is passed over. */
export type SkippedBlock = GatesOptions["skip"][number];

/** The schema of the loss term `gated-density`. */
export const gatedDensitySchema = z.strictObject({
  weight: z.number().min(0).default(1).describe("w in task + w·gated density"),
  epsilon: z.number().min(LEAST_EPSILON).default(1e-7).describe("ε of a²/(a²+ε)"),
  padding: z.enum(["exclude", "include"]).default("exclude").describe("whether padded positions count"),
  blockCost: z.number().min(0).default(0).describe("what a present block costs beside its density; with hard-concrete gates this is the L0 penalty"),
});

/** The validated options of `gated-density`: plain JSON. */
export type GatedDensityOptions = z.output<typeof gatedDensitySchema>;
/** Options of `gated-density` as a caller gives them. */
export type GatedDensitySettings = z.input<typeof gatedDensitySchema>;

const budget = z
  .strictObject({
    points: z.number().min(0).optional().describe("points (hundredths) of the task's first metric that may be lost, found by trying"),
    blocks: z.int().min(0).optional().describe("blocks that may be skipped at most"),
  })
  .refine(({ points, blocks }) => points !== undefined || blocks !== undefined, "must name points, blocks or both");

/** The schema of the stage `gate`. */
export const gateSchema = z
  .strictObject({
    budget: budget.optional(),
    threshold: z.number().min(0).optional().describe("blocks whose |gate| is at most this are skipped"),
    split: z.string().optional().describe("what budget.points is measured on; the task's first evaluation split when left out"),
    batchSize: z.int().min(1).default(32),
  })
  .refine((options) => (options.budget === undefined) !== (options.threshold === undefined), "must name budget or threshold, one of them");

/** Options of `gate` as a caller gives them. */
export type GateSettings = z.input<typeof gateSchema>;
/** The validated options: plain JSON. */
export type GateOptions = z.output<typeof gateSchema>;

/** Validates options. Throws `options.invalid`. */
export function validated<T extends z.ZodType>(who: string, schema: T, settings: z.input<T>): z.output<T> {
  const result = schema.safeParse(settings);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `${who}: options must fit the schema, got ${issues}. Correct them.`);
}
