import { contextDropout, ops, type AttentionInput, type ForwardContext, type Site } from "@deft-js/core";
import type { PrefixOptions } from "./options.ts";
import type { PrefixRows } from "./pool.ts";

/** What stands in front at one attention. */
export interface AttentionPrefix {
  readonly site: Site<"attention">;
  readonly options: PrefixOptions;
  /** The keys and values of this call. */
  rows(): PrefixRows;
}

/** Puts keys and values in front at an attention. @returns the undo */
export function prefixAttention({ site, options, rows }: AttentionPrefix): () => void {
  const isPeftCross = options.compat === "peft" && site.role === "cross-attention";
  return site.wrap((input, base, context) => {
    if (!isPeftCross) return base(inFront(input, batched(rows(), input, options, context), options));
    return (input.key.shape[1] ?? 0) === options.virtualTokens ? base({ ...input, ...batched(rows(), input, options, context) }) : base(input);
  });
}

/** softmax(q·[Pₖ; k]ᵀ)·[Pᵥ; v]: prefix keys are never masked, and queries of every position see them. */
function inFront(input: AttentionInput, prefix: PrefixRows, options: PrefixOptions): AttentionInput {
  const { key, value, mask } = input;
  return {
    ...input,
    key: ops.concat([prefix.key, key], 1), // [batch, virtualTokens + keys, heads·dHead]
    value: ops.concat([prefix.value, value], 1),
    mask: mask === undefined ? undefined : ops.concat([ops.ones([mask.shape[0] ?? 1, options.virtualTokens]), mask], 1),
    bias: biasOf(input, options),
    front: (input.front ?? 0) + options.virtualTokens,
  };
}

/**
 * What is added to the scores. A prefix has no position: its keys take a relative bias of 0, and the real ones keep theirs. HF PEFT counts
 * the prefix as positions before the first; adapter-transformers puts it at 0 … P−1 and the real keys behind, but leaves the queries where
 * they were.
 */
function biasOf({ query, key, bias, heads, front = 0, relativeBias }: AttentionInput, { virtualTokens, compat }: PrefixOptions): ops.Tensor | undefined {
  if (bias === undefined) return undefined;
  const [queries, keys] = [query.shape[1] ?? 0, key.shape[1] ?? 0];
  if (compat !== undefined && relativeBias !== undefined) {
    const tokens = keys - front;
    const all = virtualTokens + tokens;
    const counted = relativeBias({ queries, keys: all, queryOffset: (compat === "peft" ? all : tokens) - queries }); // [1, heads, queries, all]
    if (front === 0) return counted;
    const columns = (of: ops.Tensor, from: number, count: number): ops.Tensor => ops.slice(of, [0, 0, 0, from], [of.shape[0] ?? 1, heads, queries, count]);
    return ops.concat([columns(counted, 0, virtualTokens), columns(bias, 0, front), columns(counted, virtualTokens, tokens)], 3);
  }
  return ops.concat([ops.zeros([bias.shape[0] ?? 1, heads, queries, virtualTokens]), bias], 3); // [1 or batch, heads, queries, virtualTokens + keys]
}

function batched({ key, value }: PrefixRows, input: AttentionInput, { dropout }: PrefixOptions, context: ForwardContext): PrefixRows {
  const [batch = 0] = input.key.shape;
  const repeated = (rows: ops.Tensor): ops.Tensor => {
    const [count = 0, width = 0] = rows.shape;
    return contextDropout(ops.broadcastTo(ops.reshape(rows, [1, count, width]), [batch, count, width]), dropout, context);
  };
  return { key: repeated(key), value: repeated(value) };
}
