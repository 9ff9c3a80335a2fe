import { isPattern, patternSource, QUERY_AND_VALUE, validOptions } from "@deft-js/core";
import { z } from "zod";

/** The schema of DoRA's options; unknown keys are refused. */
export const doraSchema = z.strictObject({
  rank: z.int().positive().default(8).describe("r, the rank of the direction's update"),
  alpha: z.number().positive().default(16).describe("α: the update is scaled by α/r"),
  dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an element of the update's input while training"),
  target: z.string().refine(isPattern, "must be a regular expression").default(QUERY_AND_VALUE).describe("regular expression over the paths of linear layers"),
  kept: z.strictObject({ peft: z.record(z.string(), z.unknown()).optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** DoRA's validated options: plain JSON. */
export type DoraOptions = z.output<typeof doraSchema>;

/** DoRA's options as a caller gives them; the target may be a regular expression without flags. */
export type DoraSettings = Omit<z.input<typeof doraSchema>, "target"> & { readonly target?: string | RegExp };

/** Validates options. Throws `options.invalid`. */
export function doraOptions({ target, ...rest }: DoraSettings): DoraOptions {
  const chosen = target === undefined ? {} : { target: patternSource(target, { who: "dora", name: "target" }) };
  return validOptions(doraSchema, { ...rest, ...chosen }, { who: "dora" });
}
