import { z } from "zod";
import { isPattern, patternSource, QUERY_AND_VALUE, validOptions } from "@deft-js/core";

const kept = z.record(z.string(), z.unknown());

/** The schema of LoRA's options; unknown keys are refused. */
export const loraSchema = z.strictObject({
  rank: z.int().positive().default(8).describe("r, the rank of the update"),
  alpha: z.number().positive().default(16).describe("α: the update is scaled by α/r"),
  dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an element of the update's input while training"),
  target: z.string().refine(isPattern, "must be a regular expression").default(QUERY_AND_VALUE).describe("regular expression over the paths of linear layers"),
  bias: z.literal("none").default("none").describe("which biases train; only none"),
  init: z.enum(["kaiming", "gaussian", "bert"]).default("kaiming").describe("A ~ U(±1/√dIn), N(0, 1/r²) or N(0, 0.02²); B = 0"),
  kept: z.strictObject({ peft: kept.optional(), adapterhub: kept.optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** LoRA's validated options: plain JSON. */
export type LoraOptions = z.output<typeof loraSchema>;

/** LoRA's options as a caller gives them; the target may be a regular expression without flags. */
export type LoraSettings = Omit<z.input<typeof loraSchema>, "target"> & { readonly target?: string | RegExp };

/** Validates options. Throws `options.invalid`. */
export function loraOptions({ target, ...rest }: LoraSettings): LoraOptions {
  const chosen = target === undefined ? {} : { target: patternSource(target, { who: "lora", name: "target" }) };
  return validOptions(loraSchema, { ...rest, ...chosen }, { who: "lora" });
}
