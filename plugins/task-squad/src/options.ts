import { DeftError } from "@deft-js/core";
import { z } from "zod";

/** The schema of the options; unknown keys are refused. */
export const squadSchema = z.strictObject({
  train: z.string().min(1).describe("SQuAD's JSON, version 1.1 or 2.0: train-v2.0.json"),
  evaluation: z.string().min(1).optional().describe("the file to evaluate on (dev-v2.0.json); some articles of the training file when left out"),
  evaluationFraction: z.number().gt(0).lt(1).optional().describe("the share of the articles that is held out, 0.1 when no evaluation file is named"),
  seed: z.int().default(42).describe("which articles are held out; apart from the run's seed, so that runs compare"),
  maxLength: z.int().min(32).default(384).describe("tokens of a window with its question, special ones counted"),
  stride: z.int().min(1).default(128).describe("context tokens that neighbouring windows share"),
  maxQuestionLength: z.int().min(4).default(64).describe("tokens of a question"),
  maxAnswerLength: z.int().min(2).default(30).describe("tokens of an answer, the end token counted"),
  beams: z.int().min(1).max(64).default(1).describe("of beam search"),
  maxTrain: z.int().positive().optional().describe("reads only so many training questions, the first of the file"),
  maxEvaluation: z.int().positive().optional().describe("reads only so many questions of the evaluation, the first of the file"),
});

/** Validated options: plain JSON. */
export type SquadOptions = z.output<typeof squadSchema>;

/** The options as a caller gives them. */
export type SquadSettings = z.input<typeof squadSchema>;

/** Validates options. Throws `options.invalid`. */
export function squadOptions(settings: SquadSettings): SquadOptions {
  const result = squadSchema.safeParse(settings);
  if (result.success && (result.data.evaluation === undefined || result.data.evaluationFraction === undefined)) return result.data;
  const issues = result.success ? "evaluationFraction: must be left out where evaluation names a file" : result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `squad: options must fit the schema, got ${issues}. Correct them.`);
}
