import { adamW, extensionPoint, type AdamWOptions, type Contribution, type ExtensionPoint, type OptimizerDefinition } from "@deft-js/core";
import { z } from "zod";

/** Optimizers with their schedules. */
export const OPTIMIZER: ExtensionPoint<OptimizerDefinition> = extensionPoint("optimizer");

const adamWSchema = z.strictObject({
  learningRate: z.number().min(0).default(3e-4).describe("η, the peak learning rate"),
  weightDecay: z.number().min(0).default(0.01).describe("λ, decoupled"),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.999),
  epsilon: z.number().positive().default(1e-8),
  warmupSteps: z.number().min(0).optional().describe("steps of linear warm-up; may be a fraction"),
  warmupRatio: z.number().min(0).max(1).optional().describe("warm-up as a share of the run"),
  schedule: z.enum(["linear", "constant", "cosine"]).default("linear").describe("after the warm-up"),
  variant: z.enum(["torch", "huggingface"]).default("torch"),
  rates: z
    .array(z.strictObject({ parameters: z.string().min(1).describe("a regular expression over paths of trained variables"), factor: z.number().min(0).describe("of η") }))
    .default([])
    .describe("learning rates of their own, by the first pattern that finds a variable's path"),
});

/** AdamW for recipes: `optimizer: { adamw: { learningRate: 3.0e-4 } }`. */
export const adamWContribution: Contribution<OptimizerDefinition> = {
  id: "adamw",
  summary: "AdamW (arXiv:1711.05101) with linear warm-up",
  options: adamWSchema,
  create: (options: AdamWOptions) => adamW(options),
};
