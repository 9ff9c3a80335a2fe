import { DeftError, loadParameters, ModelParts, type BuildOptions, type Model, type ModelFamily } from "@deft-js/core";
import { parseConfig } from "./config.ts";
import { OptModel } from "./model.ts";
import { decoderSpecs, fileNames } from "./parameters.ts";

/**
 * Builds OPT decoders (Zhang et al., 2022, arXiv:2205.01068) with the names and the computation of transformers 4.26. Parameters that
 * come from a source are frozen; without a source all are initialised and trainable.
 */
export const optFamily: ModelFamily = { id: "opt", modelTypes: ["opt"], build };

/** What ends a sequence where config.json does not say, as in transformers' OPTConfig. */
const END_TOKEN = 2;

async function build({ config: raw, head, source, rng, weightFormat, absent }: BuildOptions): Promise<Model> {
  const config = parseConfig(raw);
  if (head !== "language-model" && head !== "none") throw new DeftError("model.head", `opt: the head must be none or language-model, got ${String(head)}. Choose one of them.`);
  const specs = decoderSpecs(config);
  const loaded = await loadParameters({ who: "opt", specs, source, rng, weightFormat, absent, names: fileNames, ignored: [], optionalParts: [] });
  const { eos_token_id = END_TOKEN, ...rest } = raw;
  const architectures = [head === "none" ? "OPTModel" : "OPTForCausalLM"];
  return new OptModel({ config, raw: { ...rest, eos_token_id, architectures }, head, parts: new ModelParts(specs, loaded) });
}
