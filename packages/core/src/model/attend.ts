import { attention, type Tensor } from "@deft-js/tensor";
import type { AttentionInput } from "../contracts/site.ts";

/** What stands at a model's attention sites: softmax(scale·q·kᵀ + bias + mask)·v, with dropout of the probabilities while training. */
export function attend({ query, key, value, mask, bias, heads, scale, causal, context }: AttentionInput, probability: number): Tensor {
  const dropout = context.training && probability > 0 ? { probability, seed: context.nextSeed() } : undefined;
  return attention(query, key, value, { heads, scale, mask, bias, causal, dropout });
}
