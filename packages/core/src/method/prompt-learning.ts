import type { Model } from "../contracts/model.ts";

/** Whether a model has an encoder and a decoder that attends to it. */
export function isEncoderDecoder(model: Model): boolean {
  return model.sites("attention").some(({ role }) => role === "cross-attention");
}

/** dModel of a model, as its configuration says. */
export function hiddenSize({ config }: Model): unknown {
  return config["hidden_size"] ?? config["d_model"];
}

/**
 * What HF PEFT says of the base model in the configurations of prompt and prefix tuning. Of an encoder-decoder the layers are the
 * encoder's and the submodules two.
 */
export function peftBaseModel(model: Model): Readonly<Record<string, unknown>> {
  const { config, head } = model;
  const both = isEncoderDecoder(model);
  return {
    task_type: head === "sequence-classification" ? "SEQ_CLS" : head === "language-model" ? (both ? "SEQ_2_SEQ_LM" : "CAUSAL_LM") : null,
    token_dim: hiddenSize(model),
    num_transformer_submodules: both ? 2 : 1,
    num_attention_heads: config["num_attention_heads"] ?? config["num_heads"] ?? null,
    num_layers: config["num_layers"] ?? config["num_hidden_layers"] ?? null,
  };
}

/** The keys of `peftBaseModel`, and what every adapter_config.json says of the run that wrote it: not kept, since the writer knows them. */
export const PEFT_BASE_KEYS: readonly string[] = ["task_type", "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers", "base_model_name_or_path", "inference_mode", "peft_type"];
