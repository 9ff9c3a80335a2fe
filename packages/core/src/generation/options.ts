import { DeftError } from "@deft-js/tensor";
import { z } from "zod";
import type { Model } from "../contracts/model.ts";

const tokenId = z.int().min(0);
const ends = z.union([tokenId, z.array(tokenId)]);

/** The schema of the options of generation; unknown keys are refused. */
export const generationSchema = z.strictObject({
  maxNewTokens: z.int().positive().default(20).describe("most tokens that a sequence gains, the end token included"),
  minNewTokens: z.int().min(0).default(0).describe("the end token is not taken before so many tokens"),
  beams: z.int().positive().max(256).default(1).describe("beams of beam search; 1 is greedy, or sampling"),
  lengthPenalty: z.number().default(1).describe("beam scores are divided by length to this power"),
  earlyStopping: z.boolean().default(false).describe("beam search ends an example once it has as many finished sequences as beams"),
  sample: z.boolean().default(false).describe("draw tokens by their probabilities instead of taking the likeliest"),
  temperature: z.number().positive().default(1).describe("logits are divided by it before sampling"),
  topK: z.int().positive().optional().describe("sample among the k likeliest tokens"),
  topP: z.number().positive().max(1).optional().describe("sample among the likeliest tokens that hold this share of the probability"),
  seed: z.int().default(42).describe("of sampling; every row draws from a stream of its own"),
  scores: z.boolean().default(false).describe("log-probabilities of the sequences too; beam search always gives them"),
  eos: ends.optional().describe("the token or tokens that end a sequence; the model's own when left out, [] for none"),
});

/** The options of generation as a caller gives them. */
export type GenerationSettings = z.input<typeof generationSchema>;

/** The validated options; `eos` is always a list. */
export type GenerationOptions = Omit<z.output<typeof generationSchema>, "eos"> & { readonly eos: readonly number[] };

/** Validates options for a model. Throws `generation.options`. */
export function generationOptions(settings: GenerationSettings, { config }: Pick<Model, "config">): GenerationOptions {
  const result = generationSchema.safeParse(settings);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
    throw new DeftError("generation.options", `generate: options must fit the schema, got ${issues}. Correct them.`);
  }
  const { eos = modelEnds(config), ...options } = result.data;
  if (options.sample && options.beams > 1) throw new DeftError("generation.options", `generate: sampling must go with one beam, got ${options.beams}. Leave out sample or beams.`);
  const idle = (["temperature", "topK", "topP"] as const).find((name) => settings[name] !== undefined);
  if (!options.sample && idle !== undefined) throw new DeftError("generation.options", `generate: ${idle} must go with sample, got it without. Say sample: true or leave it out.`);
  if (options.minNewTokens > options.maxNewTokens)
    throw new DeftError("generation.options", `generate: minNewTokens must be at most maxNewTokens, got ${options.minNewTokens} and ${options.maxNewTokens}. Correct them.`);
  return { ...options, eos: [eos].flat() };
}

/** The tokens that end a sequence by config.json; none where it names none. */
function modelEnds({ eos_token_id: named }: Model["config"]): z.output<typeof ends> {
  const result = ends.nullish().safeParse(named);
  if (!result.success) throw new DeftError("generation.options", `generate: eos_token_id of the model must be a token id or a list of them, got ${JSON.stringify(named)}. Correct config.json, or pass eos.`);
  return result.data ?? [];
}
