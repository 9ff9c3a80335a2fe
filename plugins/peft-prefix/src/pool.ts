import { ops } from "@deft-js/core";
import type { Placement } from "./placement.ts";

/** The keys and values of one attention's prefix, [virtualTokens, heads·dHead] each. */
export interface PrefixRows {
  readonly key: ops.Tensor;
  readonly value: ops.Tensor;
}

/** A pool's keys and values as parameters of their own. */
export interface FlatPool {
  readonly kind: "flat";
  readonly placement: Placement;
  /** Key and value of each entry in turn, [virtualTokens, width]. */
  readonly blocks: readonly ops.Variable[];
}

/** A pool's keys and values made by an MLP: rows = tanh(E·W₁ + b₁)·W₂ + b₂ with E [virtualTokens, width] (Li & Liang, 2021, section 4.3). */
export interface ProjectedPool {
  readonly kind: "projected";
  readonly placement: Placement;
  /** E, [virtualTokens, width]. */
  readonly embedding: ops.Variable;
  /** W₁, [width, projectionSize], and b₁. */
  readonly downWeight: ops.Variable;
  readonly downBias: ops.Variable;
  /** W₂ and b₂ cut into the columns of each entry's key and value in turn: [projectionSize, width] and [width]. */
  readonly upWeights: readonly ops.Variable[];
  readonly upBiases: readonly ops.Variable[];
}

/** The parameters of one pool. */
export type Pool = FlatPool | ProjectedPool;

/** How large a pool is, and where its first values come from. */
export interface PoolOptions {
  readonly virtualTokens: number;
  readonly projectionSize?: number | undefined;
  readonly rng: ops.Rng;
}

/** New parameters: rows of N(0, 1); an MLP's weights and biases of U(−1/√dIn, 1/√dIn), as in HF PEFT and adapter-transformers. */
export function createPool(placement: Placement, { virtualTokens, projectionSize, rng }: PoolOptions): Pool {
  const { pool, entries, width } = placement;
  const rows = (name: string): ops.Variable => variable(`prefix.${pool}.${name}`, [virtualTokens, width], rng);
  const each = <T>(make: (name: string) => T): readonly T[] => Array.from({ length: 2 * entries }, (_, i) => make(`${i >> 1}.${i % 2 === 0 ? "key" : "value"}`));
  if (projectionSize === undefined) return { kind: "flat", placement, blocks: each(rows) };
  const linear = (name: string, shape: readonly number[], dIn: number): ops.Variable => variable(`prefix.${pool}.${name}`, shape, rng, 1 / Math.sqrt(dIn));
  return {
    kind: "projected",
    placement,
    embedding: rows("embedding"),
    downWeight: linear("down.weight", [width, projectionSize], width),
    downBias: linear("down.bias", [projectionSize], width),
    upWeights: each((name) => linear(`${name}.weight`, [projectionSize, width], projectionSize)),
    upBiases: each((name) => linear(`${name}.bias`, [width], projectionSize)),
  };
}

function variable(path: string, shape: readonly number[], rng: ops.Rng, bound?: number): ops.Variable {
  const size = shape.reduce((n, d) => n * d, 1);
  const own = rng.fork(path);
  return ops.Variable.from(path, bound === undefined ? own.normals(size, 1) : own.uniforms(size, bound), shape);
}

/** Everything that a pool trains. */
export function variablesOf(pool: Pool): readonly ops.Variable[] {
  if (pool.kind === "flat") return pool.blocks;
  const ups = pool.upWeights.flatMap((weight, i) => [weight, pool.upBiases[i] as ops.Variable]);
  return [pool.embedding, pool.downWeight, pool.downBias, ...ups];
}

/** The keys and values of an entry. */
export function rowsOf(pool: Pool, entry: number): PrefixRows {
  if (pool.kind === "flat") return { key: block(pool, 2 * entry), value: block(pool, 2 * entry + 1) };
  const inner = ops.linear(pool.embedding.value, pool.downWeight.value, { bias: pool.downBias.value, activation: "tanh" }); // [virtualTokens, projectionSize]
  const up = (i: number): ops.Tensor => ops.linear(inner, (pool.upWeights[i] as ops.Variable).value, { bias: (pool.upBiases[i] as ops.Variable).value });
  return { key: up(2 * entry), value: up(2 * entry + 1) };
}

function block({ blocks }: FlatPool, i: number): ops.Tensor {
  return (blocks[i] as ops.Variable).value;
}
