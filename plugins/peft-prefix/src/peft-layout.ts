import { fitting, ops, peftBaseModel, stateError, type AdapterLayout, type Model, type PeftMethod } from "@deft-js/core";
import { apart, besides } from "./columns.ts";
import type { PrefixOptions } from "./options.ts";
import { rowsOf, type Pool } from "./pool.ts";

/** The tensor's name in HF PEFT's files. */
const KEY = "prompt_embeddings";
const VOICE = { who: "prefix", code: "prefix.state" };

/**
 * HF PEFT: `prompt_embeddings`, [virtual tokens, layers·2·dModel], each layer's key then its value. A projected prefix is saved as what
 * its MLP makes, and comes back as a flat one: training cannot go on from the file.
 */
export function peftLayout(model: Model, pool: Pool, { options, flat }: { readonly options: PrefixOptions; flat(): PeftMethod }): AdapterLayout {
  const { entries, width } = pool.placement;
  const { virtualTokens, projectionSize } = options;
  const shape = [virtualTokens, entries * 2 * width];
  return {
    ...(pool.kind === "flat" ? {} : { method: flat() }),
    config: () => ({
      encoder_hidden_size: projectionSize ?? width,
      prefix_projection: projectionSize !== undefined,
      ...options.kept?.peft,
      ...peftBaseModel(model),
      peft_type: "PREFIX_TUNING",
      num_virtual_tokens: virtualTokens,
      inference_mode: true,
    }),
    write: () => [{ name: KEY, shape, values: projected(pool, virtualTokens) }],
    read: (tensors) => {
      if (pool.kind !== "flat") throw stateError({ ...VOICE, remedy: "Attach the method without projectionSize." }, "a projected prefix must not be read from HF PEFT's layout, which holds the projection's output, got one with projectionSize");
      const { values } = fitting(KEY, tensors.get(KEY), shape, VOICE);
      for (const [i, block] of apart(values, virtualTokens, 2 * entries).entries()) pool.blocks[i]?.load(block);
    },
  };
}

/** All keys and values side by side, [virtualTokens, entries·2·width] row by row. */
function projected(pool: Pool, virtualTokens: number): Float32Array {
  const blocks = Array.from({ length: pool.placement.entries }, (_, entry) =>
    ops.scope(() => {
      const { key, value } = rowsOf(pool, entry);
      return [ops.read(key), ops.read(value)];
    }),
  );
  return besides(blocks.flat(), virtualTokens);
}
