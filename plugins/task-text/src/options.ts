import { validOptions } from "@deft-js/core";
import { FORMATS } from "@deft-js/data";
import { z } from "zod";

const fields = z.strictObject({
  train: z.string().min(1).describe("the file of training rows: .csv, .tsv, .jsonl, .json or .parquet"),
  evaluation: z.string().min(1).optional().describe("the file of evaluation rows; a part of the training rows when left out"),
  evaluationFraction: z.number().gt(0).lt(1).optional().describe("the part of the training rows that is held out, 0.1 when no evaluation file is named"),
  seed: z.int().default(42).describe("which rows are held out; apart from the run's seed, so that runs compare"),
  text: z.string().min(1).describe("the column of the text"),
  pair: z.string().min(1).optional().describe("the column of a second text"),
  label: z.string().min(1).optional().describe("the column of the label: strings or whole numbers, or numbers with regression"),
  target: z.string().min(1).optional().describe("instead of a label, the column of a text that a language model is to generate"),
  words: z.record(z.string(), z.string().trim().min(1)).optional().describe("a word for each class, by label: a language model generates it instead of classifying"),
  template: z.string().regex(/\{text\}/, "must hold {text}").optional().describe("what a language model reads, e.g. `review: {text}`; {text} and {pair} stand for the columns"),
  labels: z.array(z.union([z.string(), z.int()])).min(2).optional().describe("the classes in the order of their indices; found in the training rows and sorted when left out"),
  regression: z.boolean().default(false).describe("labels are numbers to be met, not classes"),
  maxTargetLength: z.int().min(2).optional().describe("tokens of a generated text, the end token counted; 32 when left out"),
  beams: z.int().min(1).max(64).optional().describe("of beam search when texts are generated; 1 when left out"),
  maxLength: z.int().min(4).default(128).describe("tokens of an example, special ones counted"),
  maxTrain: z.int().positive().optional().describe("trains on only so many rows, the first"),
  maxEvaluation: z.int().positive().optional().describe("evaluates only so many rows, the first"),
  padToMaxLength: z.boolean().default(false).describe("pads every batch to maxLength instead of to its longest example; not a decoder's rows of text and target"),
  format: z.enum(FORMATS).exclude(["txt"]).optional().describe("of the files; from their names when left out"),
});

/** The schema of the options; unknown keys are refused. */
export const textSchema = fields
  .refine((options) => (options.label === undefined) !== (options.target === undefined), { path: ["label"], message: "either label or target must name a column" })
  .refine((options) => options.words === undefined || (options.label !== undefined && !options.regression), { path: ["words"], message: "must go with a label of classes" })
  .refine((options) => new Set(Object.values(options.words ?? {}).map((word) => word.toLowerCase())).size === Object.keys(options.words ?? {}).length, { path: ["words"], message: "must be different for every class" })
  .refine((options) => options.template === undefined || options.target !== undefined || options.words !== undefined, { path: ["template"], message: "must go with target or words" })
  .refine((options) => options.maxTargetLength === undefined || options.target !== undefined, { path: ["maxTargetLength"], message: "must go with target; words are as long as they are" })
  .refine((options) => options.beams === undefined || options.target !== undefined || options.words !== undefined, { path: ["beams"], message: "must go with target or words" })
  .refine((options) => options.template === undefined || options.template.includes("{pair}") === (options.pair !== undefined), { path: ["template"], message: "must hold {pair} where pair names a column, and only there" })
  .refine((options) => options.target === undefined || (!options.regression && options.labels === undefined), { path: ["target"], message: "must go without labels and regression" })
  .refine((options) => options.evaluation === undefined || options.evaluationFraction === undefined, { path: ["evaluationFraction"], message: "must be left out where evaluation names a file" })
  .refine((options) => !options.regression || options.labels === undefined, { path: ["labels"], message: "must be left out for a regression" })
  .refine((options) => new Set(options.labels?.map(String)).size === (options.labels?.length ?? 0), { path: ["labels"], message: "must name every class once" });

/** Validated options: plain JSON. */
export type TextOptions = z.output<typeof textSchema>;

/** The options as a caller gives them. */
export type TextSettings = z.input<typeof textSchema>;

/** Validates options. Throws `options.invalid`. */
export function textOptions(settings: TextSettings): TextOptions {
  return validOptions(textSchema, settings, { who: "text" });
}
