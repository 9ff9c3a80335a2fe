import { classificationLoss, contextDropout, DeftError, ops, type Batch, type ForwardContext, type HeadKind, type ModelParts, type ParameterSpec } from "@deft-js/core";
import type { BertConfig } from "./config.ts";
import { dense } from "./dense.ts";
import { maskedLanguageModelHead } from "./masked-language-model-head.ts";
import { linearSpecs, POOLER } from "./parameters.ts";

/** From the last hidden states [batch, seq, dModel] to logits. */
export type HeadFunction = (hidden: ops.Tensor, context: ForwardContext) => ops.Tensor;

/** A head before its parameters are there. */
export interface HeadPlan {
  readonly specs: readonly ParameterSpec[];
  /** The parts of its parameters that are initialised when the source has none of them; they are what fine-tuning trains. */
  readonly newParts: readonly string[];
  /** The class name in config.json, after `Bert` or `Roberta`. */
  readonly architecture: string;
  build(parts: ModelParts): HeadFunction;
  loss(logits: ops.Tensor, batch: Batch): ops.Tensor;
}

/** The part of a classification head's parameters. */
export const HEAD = "head";

/**
 * The head of a kind.
 * @throws DeftError `model.head` when the family has none of the kind
 */
export function planHead(config: BertConfig, kind: HeadKind, name: string): HeadPlan {
  if (kind === "none") return noHead;
  if (kind === "masked-language-model") return maskedLanguageModelHead(config);
  if (kind === "tanh-classification") return tanhHead(config, name);
  if (kind === "sequence-classification") return config.modelType === "bert" ? bertHead(config) : robertaHead(config);
  throw new DeftError("model.head", `${config.modelType}: the head must be none, sequence-classification, tanh-classification or masked-language-model, got ${String(kind)}. Choose one of them.`);
}

const noHead: HeadPlan = {
  specs: [],
  newParts: [],
  architecture: "Model",
  build: () => (hidden) => hidden,
  loss: () => {
    throw new DeftError("model.head", "bert: a model without a head has no loss, got a batch to score. Load it with a head.");
  },
};

/** classifier(drop(tanh(pooler(h₀)))) (transformers, BertForSequenceClassification). */
function bertHead(config: BertConfig): HeadPlan {
  const { hiddenSize: d, labels, classifierDropout } = config;
  return {
    specs: [...linearSpecs(config, "bert.pooler.dense", d, d, POOLER), ...linearSpecs(config, "classifier", d, labels, HEAD)],
    newParts: [POOLER, HEAD],
    architecture: "ForSequenceClassification",
    build: (parts) => {
      const pooler = parts.linear({ path: "bert.pooler.dense", stack: "encoder" });
      const classifier = dense(parts, "classifier");
      return (hidden, context) => classifier(contextDropout(ops.tanh(pooler.forward(firstPosition(hidden), context)), classifierDropout, context));
    },
    loss: classificationLoss,
  };
}

/** out_proj(drop(tanh(dense(drop(h₀))))) (transformers, RobertaClassificationHead). */
function robertaHead(config: BertConfig): HeadPlan {
  return twoLayerHead(config, { first: "classifier.dense", second: "classifier.out_proj", dropout: config.classifierDropout, architecture: "ForSequenceClassification" });
}

/** The same function under AdapterHub's names, on BERT as on RoBERTa (adapter-transformers, ClassificationHead). */
function tanhHead(config: BertConfig, name: string): HeadPlan {
  return twoLayerHead(config, { first: `heads.${name}.1`, second: `heads.${name}.4`, dropout: config.hiddenDropout, architecture: "AdapterModel" });
}

function twoLayerHead(config: BertConfig, head: { first: string; second: string; dropout: number; architecture: string }): HeadPlan {
  const { hiddenSize: d, labels } = config;
  return {
    specs: [...linearSpecs(config, head.first, d, d, HEAD), ...linearSpecs(config, head.second, d, labels, HEAD)],
    newParts: [HEAD],
    architecture: head.architecture,
    build: (parts) => {
      const [first, second] = [dense(parts, head.first), dense(parts, head.second)];
      return (hidden, context) => {
        const features = contextDropout(firstPosition(hidden), head.dropout, context);
        return second(contextDropout(first(features, "tanh"), head.dropout, context));
      };
    },
    loss: classificationLoss,
  };
}

/** h₀: [batch, seq, d] → [batch, d]. */
function firstPosition(hidden: ops.Tensor): ops.Tensor {
  const [batch = 0, , d = 0] = hidden.shape;
  return ops.reshape(ops.slice(hidden, [0, 0, 0], [batch, 1, d]), [batch, d]);
}
