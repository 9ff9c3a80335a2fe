import { DeftError, hiddenSize, isEncoderDecoder, type Model, type Site } from "@deft-js/core";
import type { PrefixOptions } from "./options.ts";

/** The prefixes that have parameters of their own: of an encoder, of decoders and lone encoders, of cross-attention. */
export type PoolName = "encoder" | "self" | "cross";

/** Which attention takes which entry of a pool: a pool has a key and a value for each of its entries. */
export interface Placement {
  readonly pool: PoolName;
  readonly entries: number;
  /** heads·dHead of the keys and values. */
  readonly width: number;
  readonly places: readonly { readonly site: Site<"attention">; readonly entry: number }[];
}

/**
 * Where prefixes stand: one entry for each attention, in pools of their own for an encoder, a decoder's self- and its cross-attention.
 * @throws DeftError `prefix.target` when there is no attention, `prefix.compat` for a model on which the named library fails
 */
export function placements(model: Model, options: PrefixOptions): readonly Placement[] {
  const sites = model.sites("attention");
  if (options.compat !== undefined) demandWidth(model, sites, options.compat);
  const found = !isEncoderDecoder(model) ? [pool("self", sites)] : options.compat === "peft" ? [peftPool(sites)] : pools(sites, options);
  const placed = found.filter(({ places }) => places.length > 0);
  if (placed.length > 0) return placed;
  throw new DeftError("prefix.target", `prefix: the model must have attention sites, got none in family ${model.family}. Use another method.`);
}

function pools(sites: readonly Site<"attention">[], { encoder, cross }: PrefixOptions): Placement[] {
  const { encoding, decoding, crossing } = split(sites);
  return [...(encoder ? [pool("encoder", encoding)] : []), pool("self", decoding), ...(cross ? [pool("cross", crossing)] : [])];
}

function split(sites: readonly Site<"attention">[]) {
  return {
    encoding: sites.filter(({ stack }) => stack === "encoder"),
    decoding: sites.filter(({ stack, role }) => stack === "decoder" && role !== "cross-attention"),
    crossing: sites.filter(({ role }) => role === "cross-attention"),
  };
}

function pool(name: PoolName, sites: readonly Site<"attention">[]): Placement {
  return { pool: name, entries: sites.length, width: sites[0]?.dOut ?? 0, places: sites.map((site, entry) => ({ site, entry })) };
}

/**
 * HF PEFT's single pool of an encoder-decoder, with an entry for each layer of the encoder. It hands them out twice over, two to a layer of
 * the decoder: layer l takes entry 2l mod L for self- and 2l + 1 mod L for cross-attention, so that with L even self-attention reads every
 * second entry only.
 */
function peftPool(sites: readonly Site<"attention">[]): Placement {
  const { encoding, decoding, crossing } = split(sites);
  const L = encoding.length;
  const take = (chosen: readonly Site<"attention">[], offset: number) => chosen.map((site, layer) => ({ site, entry: (2 * layer + offset) % L }));
  return { ...pool("self", encoding), places: [...take(decoding, 0), ...take(crossing, 1)] };
}

/** Both libraries cut keys of dModel into heads and fail where heads·dHead is another number. */
function demandWidth(model: Model, sites: readonly Site<"attention">[], compat: string): void {
  const d = hiddenSize(model);
  const other = sites.find(({ dOut }) => dOut !== d);
  if (other !== undefined) throw new DeftError("prefix.compat", `prefix: with compat ${compat} keys must be as wide as the hidden states, ${String(d)}, got ${other.dOut} at ${other.path}. Leave compat out.`);
}
