import { isPattern, patternSource, validOptions } from "@deft-js/core";
import { z } from "zod";

/** The schema of BitFit's options; unknown keys are refused. */
export const bitfitSchema = z.strictObject({
  target: z.string().refine(isPattern, "must be a regular expression").default(String.raw`\.bias$`).describe("regular expression over the names of biases: of linear layers and of norms, heads excepted"),
});

/** BitFit's validated options: plain JSON. */
export type BitfitOptions = z.output<typeof bitfitSchema>;

/** BitFit's options as a caller gives them; the target may be a regular expression without flags. */
export interface BitfitSettings {
  readonly target?: string | RegExp;
}

/** Validates options. Throws `options.invalid`. */
export function bitfitOptions({ target, ...rest }: BitfitSettings): BitfitOptions {
  const chosen = target === undefined ? {} : { target: patternSource(target, { who: "bitfit", name: "target" }) };
  return validOptions(bitfitSchema, { ...rest, ...chosen }, { who: "bitfit" });
}
