import { DeftError, EXECUTION, predict, type Predictions } from "@deft-js/core";
import { generateTexts, type GeneratedPrediction, type GenerationRequest } from "./generate.ts";
import { makeSplit } from "@deft-js/data";
import { Rng } from "@deft-js/tensor";
import { loadCheckpoint, type CheckpointRequest } from "./checkpoint.ts";
import { promptOf, type PromptRequest } from "./prompt.ts";
import { encodedGroups, maxLengthFor, type TextSource } from "./texts.ts";

/** Which model predicts what. */
export interface PredictRequest extends CheckpointRequest, TextSource, GenerationRequest, PromptRequest {
  readonly maxLength?: number | undefined;
  /** 32 when left out. */
  readonly batchSize?: number | undefined;
  /** The id of an execution that needs neither options nor calibration: `sparse`. Densely when left out. */
  readonly execution?: string | undefined;
}

/** What a model says of one text. */
export interface Prediction {
  readonly text: string;
  readonly pair?: string | undefined;
  /** The most probable class; the score, for a regression. */
  readonly label: string;
  /** By class; empty for a regression. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * Predicts texts with a model (and an adapter), in order, a batch at a time: their classes, named as in deft.json or config.json, or what a language
 * model generates from them.
 * @throws DeftError what loading, the back-end and the data throw; `model.head` when the model does neither
 */
export async function* predictTexts(request: PredictRequest): AsyncGenerator<Prediction | GeneratedPrediction> {
  const { artifact, record, kernel } = await loadCheckpoint(request);
  const { model, tokenizer } = artifact;
  try {
    if (request.execution !== undefined) await kernel.create(EXECUTION, request.execution).install(model, { rng: new Rng(42) });
    if (model.head === "language-model") return yield* generateTexts({ artifact, request, maxLength: maxLengthFor(request.maxLength, record?.task, model.config), prompt: promptOf({ kernel, artifact, record }, request) });
    if (!model.head.endsWith("-classification"))
      throw new DeftError("model.head", `predict: the model must have a classification or language-model head, got ${model.head} in ${request.checkpoint}. Name the adapter or a fine-tuned model.`);
    const maxLength = maxLengthFor(request.maxLength, record?.task, model.config);
    const { batchSize = 32 } = request;
    for await (const { texts, examples } of encodedGroups(request, { tokenizer, maxLength, size: batchSize })) {
      const split = makeSplit({ name: "texts", examples, padId: tokenizer.padId });
      const predictions = await predict({ model, split, batchSize });
      const names = classNames(predictions.width, artifact.training?.labels ?? [], model.config);
      for (const [i, { text, pair }] of texts.entries()) yield { text, ...(pair === undefined ? {} : { pair }), ...said(predictions, i, names) };
    }
  } finally {
    model.dispose();
  }
}

function said({ logits, width }: Predictions, row: number, names: readonly string[]): Pick<Prediction, "label" | "probabilities"> {
  const values = [...logits.subarray(row * width, (row + 1) * width)];
  if (width === 1) return { label: String(values[0]), probabilities: {} };
  const most = Math.max(...values);
  const exponentials = values.map((value) => Math.exp(value - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  const probabilities = Object.fromEntries(names.map((name, i) => [name, (exponentials[i] ?? 0) / sum]));
  return { label: names[values.indexOf(most)] ?? "", probabilities };
}

function classNames(width: number, labels: readonly string[], config: Readonly<Record<string, unknown>>): readonly string[] {
  if (labels.length === width) return labels;
  const named = (config["id2label"] ?? {}) as Readonly<Record<string, unknown>>;
  return Array.from({ length: width }, (_, i) => (typeof named[i] === "string" ? named[i] : `LABEL_${i}`));
}
