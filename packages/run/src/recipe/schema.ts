import { BACKEND, REPORTER, STAGE, WEIGHT_FORMAT, type HeadKind, type Kernel } from "@deft-js/core";
import { z } from "zod";
import { choice } from "./choice.ts";

/** The heads that a recipe may name. */
export const HEADS = ["none", "sequence-classification", "tanh-classification", "masked-language-model", "language-model"] as const satisfies readonly HeadKind[];

const existingModel = (kernel: Kernel) => z.strictObject({
  path: z.string().min(1).describe("a model folder, or owner/name on the Hugging Face hub"),
  head: z.enum(HEADS).optional().describe("what the head computes; what the first task needs when left out"),
  labels: z.int().min(1).optional().describe("number of labels; the task's when left out"),
  adapter: z.string().min(1).optional().describe("an adapter folder to start from"),
  weights: choice(kernel, WEIGHT_FORMAT).optional().describe("the format in which linear layers are held, encoded as they are read"),
  revision: z.string().optional().describe("branch, tag or commit on the hub"),
  offline: z.boolean().optional().describe("use what is on disk and never the network"),
});

const newModel = z.strictObject({
  init: z.union([z.string().min(1), z.record(z.string(), z.unknown())]).describe("config.json of a model to be initialised at random: its path, or its content"),
  tokenizer: z.string().min(1).describe("tokenizer.json, or a folder that holds it"),
  head: z.enum(HEADS).optional().describe("masked-language-model when left out"),
  labels: z.int().min(1).optional(),
});

/** The schema of a recipe, made of everything that the kernel's plugins bring. Unknown keys are refused. */
export function recipeSchema(kernel: Kernel) {
  return z.strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, "must be a short name of letters, digits, _, . and -").optional().describe("used in the run folder's name"),
    plugins: z.array(z.string().min(1)).optional().describe("plugin packages, or paths (./my-plugin.mjs) relative to the recipe"),
    model: z.union([z.string().min(1), existingModel(kernel), newModel]).describe("a model folder or hub name, or where a new model comes from"),
    backend: z.union([z.string().min(1), choice(kernel, BACKEND)]).default("auto").describe("auto, a back-end's id, or its id with options"),
    reporters: z.array(choice(kernel, REPORTER)).optional().describe("subscribers of the run's events"),
    stages: z.array(choice(kernel, STAGE)).min(1).describe("what is done, in order"),
    seed: z.int().default(42).describe("of every random choice"),
    output: z.string().min(1).optional().describe("the run folder; runs/TIME-NAME when left out"),
  });
}

/** A recipe, validated, defaults filled in. */
export type RecipeContent = z.output<ReturnType<typeof recipeSchema>>;

/** The JSON Schema of recipes, for editors: what may be written with these plugins. */
export function recipeJsonSchema(kernel: Kernel): Record<string, unknown> {
  const schema = z.toJSONSchema(recipeSchema(kernel), { io: "input", unrepresentable: "any", target: "draft-7" });
  return { title: "deft-js recipe", ...schema };
}
