import { z } from "zod";
import { isPattern, LEAST_EPSILON, patternSource, validOptions } from "@deft-js/core";
import { scheduleSchema } from "./schedule.ts";

const nonNegative = z.number().min(0);

/** The schema of the density loss's options; unknown keys are refused. */
export const densityLossSchema = z.strictObject({
  weight: scheduleSchema(nonNegative).default(1).describe("w in task + w·density; a number or a schedule"),
  epsilon: scheduleSchema(z.number().min(LEAST_EPSILON)).default(1e-7).describe("ε of a²/(a²+ε); a number or a schedule"),
  padding: z.enum(["exclude", "include"]).default("exclude").describe("whether padded positions count; include reproduces the paper's code"),
  labels: z.enum(["exclude", "include"]).optional().describe("of an encoder-decoder: whether decoder positions whose label is −100 count; as `padding` when left out"),
  gated: z.enum(["gate", "product"]).default("gate").describe("of a gated MLP f(x·W₀)⊙(x·W₁): the gate's activation, as the paper's code, or the product that the down-projection reads"),
  layers: z.union([z.string().refine(isPattern, "must be a regular expression"), z.array(z.int().min(0)).min(1)]).optional().describe("regular expression over the activations' paths, or layer numbers; all when left out"),
  encoderWeight: nonNegative.default(1).describe("factor of the encoder's mean"),
  decoderWeight: nonNegative.default(1).describe("factor of the decoder's mean"),
});

/** The density loss's validated options: plain JSON. */
export type DensityLossOptions = z.output<typeof densityLossSchema>;

/** The density loss's options as a caller gives them; `layers` may be a regular expression without flags. */
export type DensityLossSettings = Omit<z.input<typeof densityLossSchema>, "layers"> & { readonly layers?: RegExp | string | readonly number[] };

/** Validates options. Throws `options.invalid`. */
export function densityLossOptions({ layers, ...rest }: DensityLossSettings): DensityLossOptions {
  const chosen = layers instanceof RegExp ? patternSource(layers, { who: "density", name: "layers" }) : layers;
  return validOptions(densityLossSchema, { ...rest, ...(chosen === undefined ? {} : { layers: chosen }) }, { who: "density" });
}
