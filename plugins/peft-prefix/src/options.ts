import { validOptions } from "@deft-js/core";
import { z } from "zod";

const kept = z.record(z.string(), z.unknown());

/** The schema of prefix tuning's options; unknown keys are refused. */
export const prefixSchema = z.strictObject({
  virtualTokens: z.int().positive().max(4096).default(30).describe("keys and values in front at every attention"),
  projectionSize: z.int().positive().max(65536).optional().describe("inner width of the MLP that the keys and values are made by; they are trained themselves when left out"),
  dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an element of the keys and values while training"),
  encoder: z.boolean().default(true).describe("of an encoder-decoder: a prefix at the encoder's self-attention"),
  cross: z.boolean().default(true).describe("of an encoder-decoder: a prefix at cross-attention"),
  compat: z.enum(["peft", "adapter-transformers"]).optional().describe("compute as HF PEFT or adapter-transformers do, positions and relative biases included"),
  kept: z.strictObject({ peft: kept.optional(), adapterhub: kept.optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** Prefix tuning's validated options: plain JSON. */
export type PrefixOptions = z.output<typeof prefixSchema>;

/** Prefix tuning's options as a caller gives them. */
export type PrefixSettings = z.input<typeof prefixSchema>;

/** Validates options. @throws DeftError `options.invalid` */
export function prefixOptions(settings: PrefixSettings): PrefixOptions {
  return validOptions(prefixSchema, settings, { who: "prefix" });
}
