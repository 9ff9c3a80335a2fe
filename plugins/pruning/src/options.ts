import { DeftError } from "@deft-js/core";
import { z } from "zod";
import { parsePattern } from "./selection.ts";

/** Linear layers inside the stacks' layers: heads, poolers and tied output embeddings stay whole. */
export const DEFAULT_TARGET = String.raw`\.(?:layer|layers|block)\.\d+\.`;

const how = {
  sparsity: z.number().gt(0).lt(1).optional().describe("share of the weights that is removed; 0.5 when neither it nor a pattern is given"),
  pattern: z.string().refine(isGroups, "must be n:m with 0 < n < m ≤ 64").optional().describe("n:m: of every m neighbours in a row n stay"),
  target: z.string().refine(isPattern, "must be a regular expression").default(DEFAULT_TARGET).describe("regular expression over the paths of linear layers"),
};

const calibration = z.strictObject({
  task: z.record(z.string(), z.unknown()).optional().describe("a task, whose training examples are run; the task of the stages before when left out"),
  samples: z.int().min(1).default(128).describe("examples that are run"),
});

export const magnitudeSchema = z.strictObject({ ...how, scope: z.enum(["matrix", "row"]).optional().describe("what the weights are compared in: the whole matrix (when left out), or each output's row") });

export const wandaSchema = z.strictObject({
  ...how,
  variant: z.boolean().default(false).describe("rows may differ in how much they lose"),
  calibration: calibration.prefault({}),
});

/** Options of the stage `prune`: one method with its own. */
export const pruneSchema = z
  .strictObject({ magnitude: magnitudeSchema.optional(), wanda: wandaSchema.optional() })
  .refine(({ magnitude, wanda }) => (magnitude === undefined) !== (wanda === undefined), "must name magnitude or wanda, one of them")
  .refine((options) => [options.magnitude, options.wanda].every((method) => method?.sparsity === undefined || method.pattern === undefined), "sparsity and pattern exclude each other")
  .refine(({ magnitude }) => magnitude?.scope === undefined || magnitude.pattern === undefined, "scope goes with a sparsity, not with a pattern")
  .refine(({ wanda }) => wanda?.variant !== true || wanda.pattern === undefined, "variant takes a sparsity, not a pattern");

/** Options as a caller gives them. */
export type PruneSettings = z.input<typeof pruneSchema>;

/** Validated options: plain JSON. */
export type PruneOptions = z.output<typeof pruneSchema>;

/** How much is removed. */
export interface Amount {
  readonly sparsity?: number | undefined;
  readonly pattern?: string | undefined;
}

/** Validates options. Throws `options.invalid`. */
export function pruneOptions(settings: PruneSettings): PruneOptions {
  const result = pruneSchema.safeParse(settings);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `prune: options must fit the schema, got ${issues}. Correct them.`);
}

function isGroups(pattern: string): boolean {
  try {
    parsePattern(pattern);
    return true;
  } catch {
    return false;
  }
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}
