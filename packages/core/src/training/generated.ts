import { generate } from "../generation/index.ts";
import type { Model } from "../contracts/model.ts";
import type { GeneratedText, Split, TextGeneration } from "../contracts/task.ts";

/**
 * How a model is to be given texts: `causal` where it is a decoder alone, which reads a text and what follows it as one row; `pairs`
 * otherwise. Splits of other than texts do not care.
 */
export function formOf(model: Pick<Model, "head" | "sites">): "pairs" | "causal" {
  return model.head === "language-model" && model.sites("mlp").every(({ stack }) => stack === "decoder") ? "causal" : "pairs";
}

/** What a model generates for every row of a split, in its order. */
export async function generateRows(model: Model, split: Split, { options }: TextGeneration, batchSize: number): Promise<readonly GeneratedText[]> {
  const form = formOf(model) === "causal" ? "prompts" : "pairs";
  const rows: GeneratedText[] = [];
  for (const batch of split.batches({ batchSize, form })) {
    const { ids, scores = [] } = await generate(model, batch, options);
    for (const [i, row] of ids.entries()) rows.push({ ids: row, score: scores[i] });
  }
  return rows;
}
