import { isPattern, patternSource, validOptions } from "@deft-js/core";
import { z } from "zod";

/** Keys, values and the MLP's down-projection, as BERT, RoBERTa, T5 (self- and cross-attention) and OPT call them. */
export const DEFAULT_TARGET = String.raw`(?:\.(?:key|value|k|v|k_proj|v_proj|wo|fc2)|(?<!attention)\.output\.dense)$`;

/** Those of them whose input is scaled: the MLP's activation goes into the down-projection. */
export const DEFAULT_FEEDFORWARD = String.raw`\.(?:wo|fc2|output\.dense)$`;

const pattern = z.string().refine(isPattern, "must be a regular expression");

/** The schema of IA3's options; unknown keys are refused. */
export const ia3Schema = z.strictObject({
  target: pattern.default(DEFAULT_TARGET).describe("regular expression over the paths of linear layers that are scaled"),
  feedforward: pattern.default(DEFAULT_FEEDFORWARD).describe("regular expression over those of them whose input is scaled instead of the output"),
  kept: z.strictObject({ peft: z.record(z.string(), z.unknown()).optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** IA3's validated options: plain JSON. */
export type Ia3Options = z.output<typeof ia3Schema>;

/** IA3's options as a caller gives them; the patterns may be regular expressions without flags. */
export type Ia3Settings = Omit<z.input<typeof ia3Schema>, "target" | "feedforward"> & { readonly target?: string | RegExp; readonly feedforward?: string | RegExp };

/** Validates options. Throws `options.invalid`. */
export function ia3Options({ target, feedforward, ...rest }: Ia3Settings): Ia3Options {
  const given = Object.entries({ target, feedforward }).flatMap(([name, value]) => (value === undefined ? [] : [[name, patternSource(value, { who: "ia3", name })] as const]));
  return validOptions(ia3Schema, { ...rest, ...Object.fromEntries(given) }, { who: "ia3" });
}
