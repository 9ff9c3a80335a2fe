import { loadParameters, ModelParts, type BuildOptions, type Model, type ModelConfig, type ModelFamily } from "@deft-js/core";
import { parseConfig, type BertConfig } from "./config.ts";
import { HEAD, planHead, type HeadPlan } from "./head.ts";
import { BertModel } from "./model.ts";
import { encoderSpecs, fileNames, ignoredNames } from "./parameters.ts";

/**
 * Builds BERT and RoBERTa encoders with the names and the computation of transformers 4.26 (Devlin et al., 2019,
 * arXiv:1810.04805; Liu et al., 2019, arXiv:1907.11692). Parameters that come from a source are frozen, except the
 * classification head's and those that came with an adapter as part of it; without a source all are initialised and trainable.
 */
export const bertFamily: ModelFamily = {
  id: "bert",
  modelTypes: ["bert", "roberta"],
  build,
};

async function build(options: BuildOptions): Promise<Model> {
  const config = parseConfig(options.config, { labels: options.labels });
  const head = planHead(config, options.head, options.headName ?? "default");
  const specs = [...encoderSpecs(config), ...head.specs];
  const loaded = await loadParameters({
    who: config.modelType,
    specs,
    source: options.source,
    rng: options.rng,
    weightFormat: options.weightFormat,
    absent: options.absent,
    names: (name) => fileNames(config, name),
    ignored: ignoredNames(config, options.head),
    optionalParts: head.newParts,
  });
  const parts = new ModelParts(specs, loaded);
  const trained = specs.filter(({ name, part }) => part === HEAD || (part !== undefined && head.newParts.includes(part) && (loaded.initialised.has(part) || options.trained?.(name) === true)));
  const headParameters = trained.map(({ name }) => parts.parameter(name));
  for (const variable of headParameters) variable.trainable = true;
  return new BertModel({ config, raw: writtenConfig(options.config, config, { head, isNew: loaded.initialised.has(HEAD) }), kind: options.head, head, parts, headParameters });
}

/** config.json as a folder with this model's parameters needs it: its head's class and its labels, of which a new head has no names. */
function writtenConfig(raw: ModelConfig, config: BertConfig, { head, isNew }: { readonly head: HeadPlan; readonly isNew: boolean }): ModelConfig {
  const architectures = [`${config.modelType === "bert" ? "Bert" : "Roberta"}${head.architecture}`];
  const known = Object.keys((raw["id2label"] as object | null | undefined) ?? {}).length;
  if (!head.newParts.includes(HEAD) || (known === config.labels && !isNew)) return { ...raw, architectures };
  const names = Array.from({ length: config.labels }, (_, i) => `LABEL_${i}`);
  const id2label = Object.fromEntries(names.map((name, i) => [i, name]));
  const label2id = Object.fromEntries(names.map((name, i) => [name, i]));
  return { ...raw, architectures, ...(raw["num_labels"] === undefined ? {} : { num_labels: config.labels }), id2label, label2id };
}
