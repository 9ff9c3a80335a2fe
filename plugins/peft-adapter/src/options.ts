import { z } from "zod";
import { validOptions, type ops } from "@deft-js/core";

const NON_LINEARITIES = ["relu", "gelu", "gelu_new", "silu", "tanh", "sigmoid"] as const satisfies readonly ops.ActivationKind[];

/** The schema of an adapter's options; unknown keys are refused. */
export const adapterSchema = z.strictObject({
  placement: z.enum(["pfeiffer", "houlsby"]).default("pfeiffer").describe("after the MLP on the normalised sum, or after attention and MLP on the sublayer's output"),
  reductionFactor: z.number().positive().default(16).describe("hidden size over bottleneck size"),
  nonLinearity: z.enum(NON_LINEARITIES).optional().describe("f of the bottleneck; relu for pfeiffer, silu for houlsby"),
  dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an element of the adapter's output while training"),
  kept: z.strictObject({ adapterhub: z.record(z.string(), z.unknown()).optional() }).optional().describe("keys of an imported adapter_config.json, written back as they were"),
});

/** An adapter's validated options: plain JSON. */
export type AdapterOptions = Omit<z.output<typeof adapterSchema>, "nonLinearity"> & { readonly nonLinearity: ops.ActivationKind };

/** An adapter's options as a caller gives them. */
export type AdapterSettings = z.input<typeof adapterSchema>;

/** Validates options and fills in the placement's non-linearity. Throws `options.invalid`. */
export function adapterOptions(settings: AdapterSettings): AdapterOptions {
  const options = validOptions(adapterSchema, settings, { who: "adapter" });
  return { ...options, nonLinearity: options.nonLinearity ?? (options.placement === "houlsby" ? "silu" : "relu") };
}
