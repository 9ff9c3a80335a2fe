import { validOptions } from "@deft-js/core";
import { z } from "zod";

/** The nine tasks, as the hub calls them. */
export const GLUE_NAMES = ["cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"] as const;

/** A task's name. */
export type GlueName = (typeof GLUE_NAMES)[number];

/** The schema of the options; unknown keys are refused. */
export const glueSchema = z.strictObject({
  name: z.enum(GLUE_NAMES).describe("which of the nine tasks"),
  path: z.string().min(1).describe("the folder with its files, or one above it that is called as the task"),
  format: z.enum(["labels", "text-to-text"]).default("labels").describe("labels for a classification head, or T5's texts for a language model: `sst2 sentence: …` → `positive`"),
  maxLength: z.int().min(4).default(128).describe("tokens of an example, special ones counted"),
  maxTrain: z.int().positive().optional().describe("reads only so many training rows, the first of the file"),
  maxEvaluation: z.int().positive().optional().describe("reads only so many rows of each evaluation split, the first of the file"),
  padToMaxLength: z.boolean().default(false).describe("pads every batch to maxLength as the reference does, instead of to its longest example; not a decoder's rows of text and target"),
  skipMalformed: z.boolean().default(false).describe("leaves out TSV rows with a wrong number of columns (the original QQP has some) instead of stopping"),
});

/** Validated options: plain JSON. */
export type GlueOptions = z.output<typeof glueSchema>;

/** The options as a caller gives them. */
export type GlueSettings = z.input<typeof glueSchema>;

/** Validates options. Throws `options.invalid`. */
export function glueOptions(settings: GlueSettings): GlueOptions {
  return validOptions(glueSchema, settings, { who: "glue" });
}
