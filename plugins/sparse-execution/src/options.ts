import { DeftError } from "@deft-js/core";
import { z } from "zod";

const point = z.strictObject({
  rows: z.int().min(1).describe("tokens in a product"),
  density: z.number().min(0).max(1).describe("largest share of active neurons at which skipping pays"),
});

const common = {
  layers: z.string().refine(isPattern, "must be a regular expression").optional().describe("regular expression over the down-projections' paths; all when left out"),
  breakEven: z.array(point).min(1).optional().describe("break-even points of this machine; measured on the model's own matrices when left out"),
  upBreakEven: z.array(point).min(1).optional().describe("the same of projections into the MLP of which some neurons alone are computed"),
};

/** The schema of `sparse`. */
export const sparseSchema = z.strictObject(common);
/** The schema of `threshold`. */
export const thresholdSchema = z.strictObject({
  ...common,
  density: z.number().positive().max(1).default(0.3).describe("share of neurons that each layer keeps on the calibration data"),
  batches: z.int().min(1).default(8).describe("calibration batches"),
});
/** The schema of `gate-threshold`. */
export const gateThresholdSchema = z.strictObject({
  ...common,
  density: z.number().positive().max(1).default(0.3).describe("share of gates that each layer keeps on the calibration data"),
  batches: z.int().min(1).default(8).describe("calibration batches"),
});
/** The schema of `predictor`. */
export const predictorSchema = z.strictObject({
  ...common,
  rank: z.int().min(1).default(32).describe("rank of each layer's predictor"),
  density: z.number().positive().max(1).default(0.3).describe("share of a layer's neurons that count as active at most, by magnitude on the calibration data; zeros never do"),
  recall: z.number().positive().max(1).default(0.95).describe("share of the active neurons that is to be found on the held-back calibration batches"),
  batches: z.int().min(2).default(16).describe("calibration batches, of which every fourth is held back"),
  tokens: z.int().min(1).default(4096).describe("tokens that a predictor is trained on at most"),
  steps: z.int().min(1).default(300).describe("optimizer steps of each layer"),
  learningRate: z.number().positive().default(0.01).describe("AdamW's, falling to 0"),
});
/** The schema of `top-k`. */
export const topKSchema = z.strictObject({ ...common, density: z.number().positive().max(1).default(0.1).describe("share of neurons that each token keeps") });

/** Break-even points, by tokens in a product. */
export type BreakEvenPoint = z.output<typeof point>;
/** What all executions of this plugin take. */
export type CommonOptions = z.output<typeof sparseSchema>;
export type SparseOptions = z.input<typeof sparseSchema>;
export type ThresholdOptions = z.input<typeof thresholdSchema>;
export type GateThresholdOptions = z.input<typeof gateThresholdSchema>;
export type PredictorOptions = z.input<typeof predictorSchema>;
/** The validated options of `predictor`. */
export type PredictorSettings = z.output<typeof predictorSchema>;
export type TopKOptions = z.input<typeof topKSchema>;

/** Validates options in code. Throws `options.invalid`. */
export function checked<T extends z.ZodType>(who: string, schema: T, options: unknown): z.output<T> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `${who}: options must fit the schema, got ${issues}. Correct them.`);
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}
