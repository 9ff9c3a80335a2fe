import { fitting, isEncoderDecoder, peftBaseModel, type AdapterLayout, type Model, type NamedArray, type ops } from "@deft-js/core";
import type { PromptOptions } from "./options.ts";

/** The tensor's name in HF PEFT's files. */
const KEY = "prompt_embeddings";

/**
 * HF PEFT: `prompt_embeddings`, [virtual tokens · submodules, dModel]. An encoder-decoder has two submodules there; of the second's rows
 * PEFT from 0.4 on reads none, so that zeros stand for them where the method has none either.
 */
export function peftLayout(model: Model, variable: ops.Variable, options: PromptOptions): AdapterLayout {
  const [held = 0, d = 0] = variable.shape;
  const rows = options.virtualTokens * (isEncoderDecoder(model) ? 2 : 1);
  const written = (): NamedArray => {
    const values = new Float32Array(rows * d);
    values.set(variable.data());
    return { name: KEY, shape: [rows, d], values };
  };
  return {
    config: () => ({
      ...(options.compat === "peft-0.3" ? {} : { auto_mapping: null, revision: null }),
      prompt_tuning_init: "RANDOM",
      prompt_tuning_init_text: null,
      tokenizer_name_or_path: null,
      ...options.kept?.peft,
      ...peftBaseModel(model),
      token_dim: d,
      peft_type: "PROMPT_TUNING",
      num_virtual_tokens: options.virtualTokens,
      inference_mode: true,
    }),
    write: () => [written()],
    read: (tensors) => {
      const { values } = fitting(KEY, tensors.get(KEY), [rows, d], { who: "prompt", code: "prompt.state" });
      variable.load(values.slice(0, held * d));
    },
  };
}
