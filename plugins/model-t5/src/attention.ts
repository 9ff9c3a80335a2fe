import { attend, type ops, type AttentionInput, type ForwardContext, type KeyValue, type KeyValueCache, type LinearSite, type ModelParts, type SitePoint } from "@deft-js/core";
import type { T5Config } from "./config.ts";
import type { Place } from "./place.ts";

/** What one call of an attention reads besides its own input. */
export interface AttentionReads {
  /** What keys and values of cross-attention are made of, the encoder's output; may be missing once the cache holds them. */
  readonly source?: ops.Tensor | undefined;
  /** [batch, keys], 1 = attend; all when left out. */
  readonly mask?: ops.Tensor | undefined;
  /** [1, heads, queries, keys]. */
  readonly bias?: ops.Tensor | undefined;
  readonly relativeBias?: AttentionInput["relativeBias"];
  readonly causal: boolean;
  /** Keys and values of generation so far; of cross-attention, those of the source once they are made. */
  readonly cache?: KeyValueCache | undefined;
}

/** softmax(q·kᵀ + bias)·v·W_o over heads of size dKv, without a factor at the scores (Raffel et al., 2020). */
export class Attention {
  readonly #config: T5Config;
  readonly #query: LinearSite;
  readonly #key: LinearSite;
  readonly #value: LinearSite;
  readonly #site: SitePoint<"attention">;
  readonly #output: LinearSite;
  readonly #crosses: boolean;

  constructor(parts: ModelParts, config: T5Config, { path, role, ...place }: Place & { readonly role: "attention" | "cross-attention" }) {
    const inner = config.heads * config.dKv;
    const linear = (name: string): LinearSite => parts.linear({ ...place, path: `${path}.${name}` });
    this.#config = config;
    this.#crosses = role === "cross-attention";
    this.#query = linear("q");
    this.#key = linear("k");
    this.#value = linear("v");
    this.#site = parts.site({ ...place, kind: "attention", path, role, dIn: inner, dOut: inner });
    this.#output = linear("o");
  }

  /** x [batch, queries, dModel] → the same shape, before dropout. */
  forward(x: ops.Tensor, reads: AttentionReads, context: ForwardContext): ops.Tensor {
    const query = this.#query.forward(x, context);
    const { key, value } = this.#keysAndValues(x, reads, context);
    const { mask, bias, relativeBias, causal } = reads;
    const input: AttentionInput = { query, key, value, mask, bias, heads: this.#config.heads, scale: 1, causal, context, ...(relativeBias === undefined ? {} : { relativeBias }) };
    return this.#output.forward(this.#site.run(input, context, (i) => attend(i, this.#config.dropout)), context);
  }

  #keysAndValues(x: ops.Tensor, { source, cache }: AttentionReads, context: ForwardContext): KeyValue {
    if (this.#crosses && cache?.held !== undefined) return cache.held;
    const from = this.#crosses ? (source ?? x) : x;
    const made = { key: this.#key.forward(from, context), value: this.#value.forward(from, context) };
    return cache === undefined ? made : cache.append(made);
  }
}
