import { validOptions } from "@deft-js/core";
import { z } from "zod";

/** The schema of prompt tuning's options; unknown keys are refused. */
export const promptSchema = z.strictObject({
  virtualTokens: z.int().positive().max(4096).default(20).describe("rows in front of the token embeddings"),
  init: z.enum(["vocabulary", "random"]).default("vocabulary").describe("rows start as the embeddings of tokens drawn at random, or as N(0, 1)"),
  text: z.string().min(1).optional().describe("rows start as the embeddings of this text's tokens, repeated and cut to the number of rows; replaces init"),
  compat: z.enum(["peft", "peft-0.3"]).optional().describe("on encoder-decoders, the rows of HF PEFT: peft keeps an unused half, peft-0.3 puts it in front of the decoder"),
  kept: z.strictObject({ peft: z.record(z.string(), z.unknown()).optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** Prompt tuning's validated options: plain JSON. */
export type PromptOptions = z.output<typeof promptSchema>;

/** Prompt tuning's options as a caller gives them. */
export type PromptSettings = z.input<typeof promptSchema>;

/** Validates options. @throws DeftError `options.invalid` */
export function promptOptions(settings: PromptSettings): PromptOptions {
  return validOptions(promptSchema, settings, { who: "prompt" });
}
