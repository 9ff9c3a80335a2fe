import { DeftError, loadParameters, ModelParts, type BuildOptions, type Model, type ModelFamily } from "@deft-js/core";
import { parseConfig } from "./config.ts";
import { T5Model } from "./model.ts";
import { ignoredNames, t5Specs } from "./parameters.ts";

/**
 * Builds T5 v1.0, v1.1 and Flan-T5 with the names and the computation of transformers 4.26 (Raffel et al., 2020,
 * arXiv:1910.10683; Chung et al., 2022, arXiv:2210.11416). Parameters that come from a source are frozen; without a source all are
 * initialised and trainable. Heads: `language-model` and `none`.
 */
export const t5Family: ModelFamily = {
  id: "t5",
  modelTypes: ["t5"],
  build,
};

/** What ends a sequence where config.json does not say, as in transformers' T5Config. */
const END_TOKEN = 1;

async function build(options: BuildOptions): Promise<Model> {
  const { head, source, rng, weightFormat, absent } = options;
  if (head !== "language-model" && head !== "none")
    throw new DeftError("model.head", `t5: the head must be language-model or none, got ${head}. Choose one of them; classes are learned as label words.`);
  const config = parseConfig(options.config);
  const headed = head === "language-model";
  const specs = t5Specs(config, headed);
  const loaded = await loadParameters({ who: "t5", specs, source, rng, weightFormat, absent, names: (name) => [name], ignored: ignoredNames(headed), optionalParts: [] });
  const { eos_token_id = END_TOKEN, ...rest } = options.config;
  const raw = { ...rest, eos_token_id, architectures: [headed ? "T5ForConditionalGeneration" : "T5Model"] };
  return new T5Model({ config, raw, head, parts: new ModelParts(specs, loaded) });
}
