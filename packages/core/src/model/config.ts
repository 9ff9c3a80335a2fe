import { DeftError, type ActivationKind } from "@deft-js/tensor";
import type { ZodType } from "zod";
import type { ModelConfig } from "../contracts/model.ts";

/** The activations by the names that config.json has for them. */
export const ACTIVATION_NAMES = { gelu: "gelu", gelu_new: "gelu_new", relu: "relu", silu: "silu", swish: "silu" } as const satisfies Record<string, ActivationKind>;

/** A name of `ACTIVATION_NAMES`. */
export type ActivationName = keyof typeof ACTIVATION_NAMES;

/** The parts of config.json that a family's schema describes. @throws DeftError `model.config`, which names every issue */
export function modelConfig<T>(schema: ZodType<T>, raw: ModelConfig, { who, what }: { readonly who: string; /** `an OPT decoder`, … */ readonly what: string }): T {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new DeftError("model.config", `${who}: config.json must describe ${what}, got ${issues}. Correct config.json or choose another model.`);
}
