import { attachmentOf, isEncoderDecoder, type Attachment, type Model, type ops, type PeftMethod } from "@deft-js/core";
import { adapterHubLayout } from "./adapterhub-layout.ts";
import { prefixAttention } from "./attend.ts";
import { prefixOptions, type PrefixOptions, type PrefixSettings } from "./options.ts";
import { peftLayout } from "./peft-layout.ts";
import { placements } from "./placement.ts";
import { createPool, rowsOf, variablesOf, type Pool } from "./pool.ts";

/**
 * Prefix tuning: P trained keys and values in front at every attention of a frozen model, softmax(q·[Pₖ; k]ᵀ)·[Pᵥ; v], trained themselves
 * or as the output of an MLP (Li & Liang, 2021, arXiv:2101.00190). The prefix has no position: tokens keep theirs.
 * @throws DeftError `options.invalid`; on attaching, `prefix.target`, `prefix.compat`
 */
export function prefix(settings: PrefixSettings = {}): PeftMethod {
  const options = prefixOptions(settings);
  const method: PeftMethod = { id: "prefix", options, attach: (model, rng) => attach(method, options, model, rng) };
  return method;
}

function attach(method: PeftMethod, options: PrefixOptions, model: Model, rng: ops.Rng): Attachment {
  const pools = placements(model, options).map((placement) => createPool(placement, { ...options, rng }));
  return attachmentOf({
    method,
    variables: pools.flatMap(variablesOf),
    undo: [...pools.flatMap((pool) => wraps(pool, options)), ...shifts(model, options)],
    layouts: layoutsOf(model, pools, options),
  });
}

function wraps(pool: Pool, options: PrefixOptions): (() => void)[] {
  return pool.placement.places.map(({ site, entry }) => prefixAttention({ site, options, rows: () => rowsOf(pool, entry) }));
}

/** HF PEFT hands the prefix over as keys of earlier positions, so that the tokens are numbered behind it. */
function shifts(model: Model, { compat, virtualTokens }: PrefixOptions): (() => void)[] {
  if (compat !== "peft" || isEncoderDecoder(model)) return [];
  return model.sites("embedding").map((site) => site.wrap((input, base) => base({ ...input, positionOffset: (input.positionOffset ?? 0) + virtualTokens })));
}

/** A layout holds a prefix where its library computes with it what is computed here. */
function layoutsOf(model: Model, pools: readonly Pool[], options: PrefixOptions): NonNullable<Attachment["layouts"]> {
  const { compat } = options;
  if (compat === "peft") return { peft: peftLayout(model, pools[0] as Pool, { options, flat: () => prefix({ ...options, projectionSize: undefined }) }) };
  const isLoneEncoder = model.sites("attention").every(({ stack }) => stack === "encoder");
  const isPeers = compat === "adapter-transformers" ? isLoneEncoder || isEncoderDecoder(model) : isLoneEncoder;
  return isPeers ? { adapterhub: adapterHubLayout(model, pools, options) } : {};
}
