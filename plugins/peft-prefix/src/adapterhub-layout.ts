import { fitting, hiddenSize, stateError, transposeMatrix, type AdapterLayout, type Model, type NamedArray, type ops } from "@deft-js/core";
import { apart, besides } from "./columns.ts";
import type { PrefixOptions } from "./options.ts";
import type { FlatPool, Pool, ProjectedPool } from "./pool.ts";

const VOICE = { who: "prefix", code: "prefix.state" };

/** One tensor of a pool in the file: how it is made, and how it is taken. */
interface Part {
  /** After `POOL_prefix.`. */
  readonly name: string;
  readonly shape: readonly number[];
  values(): Float32Array;
  load(values: Float32Array): void;
}

/**
 * AdapterHub: `…prefix_tunings.NAME.POOL_prefix.control_trans`, one vector of virtualTokens·layers·2·dModel, or the MLP's `wte.weight`,
 * `control_trans.0` and `control_trans.2`. The library saves every pool once for each attention and once more for the model; all
 * copies are written, and must be equal when they are read.
 */
export function adapterHubLayout(model: Model, pools: readonly Pool[], options: PrefixOptions): AdapterLayout {
  const { virtualTokens, projectionSize, dropout, encoder, cross } = options;
  const holders = model.sites("attention").map(({ path }) => `${path}.prefix_tuning.pool.`);
  const root = /^(.*?)(?:encoder|decoder)\./.exec(holders[0] ?? "")?.[1] ?? "";
  const prefixes = (name: string): string[] => [...holders, `${root}prefix_tuning.`].map((holder) => `${holder}prefix_tunings.${name}.`);
  const parts = pools.flatMap((pool) => partsOf(pool, virtualTokens));
  return {
    config: () => ({
      config: {
        bottleneck_size: projectionSize ?? 512,
        shared_gating: true,
        ...options.kept?.adapterhub,
        architecture: "prefix_tuning",
        cross_prefix: cross,
        dropout,
        encoder_prefix: encoder,
        flat: projectionSize === undefined,
        leave_out: [],
        non_linearity: "tanh",
        prefix_length: virtualTokens,
        use_gating: false,
      },
      hidden_size: hiddenSize(model),
      model_type: model.family,
    }),
    write: (name) => {
      const made = parts.map((part) => ({ name: part.name, shape: part.shape, values: part.values() }));
      return prefixes(name).flatMap((prefix) => made.map((part) => ({ ...part, name: `${prefix}${part.name}` })));
    },
    read: (tensors, name) => {
      demandOwn(tensors, name, new Set(prefixes(name).flatMap((prefix) => parts.map((part) => `${prefix}${part.name}`))));
      const found = parts.map((part) => [part, agreed(prefixes(name).map((prefix) => fitting(`${prefix}${part.name}`, tensors.get(`${prefix}${part.name}`), part.shape, VOICE)))] as const);
      for (const [part, values] of found) part.load(values);
    },
  };
}

/** Throws unless every tensor of the adapter's is known. */
function demandOwn(tensors: ReadonlyMap<string, NamedArray>, name: string, known: ReadonlySet<string>): void {
  const other = [...tensors.keys()].find((key) => key.includes(`.prefix_tunings.${name}.`) && !known.has(key));
  if (other !== undefined) throw stateError(VOICE, `takes its own tensors alone, got ${other} besides`);
}

/** The values that all copies hold. */
function agreed(copies: readonly NamedArray[]): Float32Array {
  const [first, ...rest] = copies as [NamedArray, ...NamedArray[]];
  const other = rest.find(({ values }) => values.some((value, i) => !Object.is(value, first.values[i])));
  if (other !== undefined) throw stateError(VOICE, `copies of one prefix must be equal, got ${other.name} unlike ${first.name}`);
  return first.values;
}

function partsOf(pool: Pool, virtualTokens: number): readonly Part[] {
  const own = `${pool.placement.pool}_prefix.`;
  return (pool.kind === "flat" ? flatParts(pool, virtualTokens) : projectedParts(pool)).map((part) => ({ ...part, name: own + part.name }));
}

function flatParts({ blocks }: FlatPool, virtualTokens: number): readonly Part[] {
  const size = blocks.reduce((n, variable) => n + variable.size, 0);
  return [{ name: "control_trans", shape: [size], values: () => joined(blocks, virtualTokens), load: (values) => loadApart(blocks, values, virtualTokens) }];
}

function projectedParts({ embedding, downWeight, downBias, upWeights, upBiases }: ProjectedPool): readonly Part[] {
  const [, inner = 0] = downWeight.shape;
  const [width = 0] = upBiases[0]?.shape ?? [];
  const all = upBiases.length * width;
  const held = (name: string, variable: ops.Variable): Part => ({ name, shape: variable.shape, values: () => variable.data(), load: (values) => variable.load(values) });
  const turned = (name: string, [dIn, dOut]: readonly [number, number], part: Pick<Part, "values" | "load">): Part => ({
    name,
    shape: [dOut, dIn],
    values: () => transposeMatrix(part.values(), dIn, dOut),
    load: (values) => part.load(transposeMatrix(values, dOut, dIn)),
  });
  return [
    held("wte.weight", embedding),
    turned("control_trans.0.weight", [width, inner], held("", downWeight)),
    held("control_trans.0.bias", downBias),
    turned("control_trans.2.weight", [inner, all], { values: () => joined(upWeights, inner), load: (values) => loadApart(upWeights, values, inner) }),
    { name: "control_trans.2.bias", shape: [all], values: () => joined(upBiases, 1), load: (values) => loadApart(upBiases, values, 1) },
  ];
}

function joined(blocks: readonly ops.Variable[], rows: number): Float32Array {
  return besides(blocks.map((variable) => variable.data()), rows);
}

function loadApart(blocks: readonly ops.Variable[], values: Float32Array, rows: number): void {
  for (const [i, block] of apart(values, rows, blocks.length).entries()) (blocks[i] as ops.Variable).load(block);
}
