import { ops, type ModelParts } from "@deft-js/core";
import type { T5Config } from "./config.ts";
import { relativeBiasName, type StackName } from "./parameters.ts";

/** How distances become buckets. */
export interface BucketOptions {
  readonly buckets: number;
  readonly maxDistance: number;
  /** Keys ahead of the query have buckets of their own (encoder); without, they share bucket 0 (decoder). */
  readonly bidirectional: boolean;
}

/**
 * The bucket of a key at `distance` = key position − query position: one each for the near ones, then logarithmically wider up to
 * maxDistance (Raffel et al., 2020, arXiv:1910.10683, section 2.1). Rounded in float32 as transformers does.
 */
export function relativeBucket(distance: number, { buckets, maxDistance, bidirectional }: BucketOptions): number {
  const count = bidirectional ? buckets / 2 : buckets;
  const first = bidirectional && distance > 0 ? count : 0;
  const away = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
  const exact = count / 2;
  if (away < exact) return first + away;
  const { fround, log } = Math;
  const share = fround(fround(log(fround(away / exact))) / fround(log(maxDistance / exact)));
  return first + Math.min(count - 1, exact + Math.trunc(fround(share * (count - exact))));
}

/** Which queries and keys a bias is asked for: query i stands at queryOffset + i, key j at j. */
export interface Span {
  readonly queries: number;
  readonly keys: number;
  readonly queryOffset: number;
}

/** A stack's relative position bias: bias[h, i, j] = table[bucket(j − i − queryOffset), h]. */
export class RelativeBias {
  readonly #table: ops.Variable;
  readonly #options: BucketOptions;
  readonly #heads: number;
  /** Buckets of the distances 0, −1, −2, … and 1, 2, …, filled as they are asked for. */
  readonly #behind: number[] = [];
  readonly #ahead: number[] = [];

  constructor(parts: ModelParts, config: T5Config, stack: StackName) {
    this.#table = parts.parameter(relativeBiasName(stack));
    this.#options = { buckets: config.buckets, maxDistance: config.maxDistance, bidirectional: stack === "encoder" };
    this.#heads = config.heads;
  }

  /** [1, heads, queries, keys], with the gradient by the table. */
  over({ queries, keys, queryOffset }: Span): ops.Tensor {
    const ids = new Int32Array(queries * keys);
    for (let i = 0; i < queries; i++) for (let j = 0; j < keys; j++) ids[i * keys + j] = this.#bucket(j - i - queryOffset);
    const rows = ops.embedding(this.#table.value, ops.intTensor(ids, [queries * keys])); // [queries·keys, heads]
    return ops.reshape(ops.transpose(rows), [1, this.#heads, queries, keys]);
  }

  #bucket(distance: number): number {
    const known = distance > 0 ? this.#ahead : this.#behind;
    const away = Math.abs(distance);
    return (known[away] ??= relativeBucket(distance, this.#options));
  }
}
