import { join } from "node:path";
import { DeftError, formOf, withMetrics, type Artifact, type Contribution, type Encoded, type Kernel, type OpenTask, type Split, type Stage, type StageContext } from "@deft-js/core";
import { makeSplit, readTexts } from "@deft-js/data";
import type { OperatorFunction } from "rxjs";
import { z } from "zod";
import { formatsOf } from "../model/encodings.ts";
import { saveModel } from "../model/save.ts";
import { contextOf } from "../run/context.ts";
import { MODEL_FOLDER } from "../run/folder.ts";
import { causalSplit } from "./causal.ts";
import { maskedSplit, specialIds } from "./masking.ts";
import { spanCorruptedSplit } from "./span-corruption.ts";
import { inPipeline, stageOf } from "./stage.ts";
import { defaultMeters } from "./task.ts";
import { trainingMetrics, trainingSchema, trainingSettings, type TrainingSettings } from "./training-options.ts";
import { trainStage } from "./train-stage.ts";

/** Options of `pretrain` in code. */
export interface PretrainOptions extends TrainingSettings {
  /** A file of texts: one a line (.txt), or a column of TSV, CSV, JSONL, JSON or Parquet. */
  readonly text: string;
  readonly column?: string | undefined;
  /** A file of texts for evaluation; a share of `text` when left out. */
  readonly validation?: string | undefined;
  /** The share of `text` that is held out; 0.05 when left out. */
  readonly holdOut?: number | undefined;
  /** Tokens of an example at most, special ones counted; 128 when left out. */
  readonly maxLength?: number | undefined;
  /** Share of tokens to be predicted, masked or in spans; 0.15 when left out. */
  readonly maskProbability?: number | undefined;
  /** Mean length of the spans that an encoder-decoder predicts, in tokens; 3 when left out. */
  readonly meanSpan?: number | undefined;
}

const schemaOf = (kernel: Kernel) =>
  z.strictObject({
    text: z.string().min(1).describe("a file of texts: one a line (.txt), or a column of TSV, CSV, JSONL, JSON or Parquet"),
    column: z.string().optional().describe("the column of the text; text or sentence when left out"),
    validation: z.string().optional().describe("a file of texts for evaluation; a share of `text` when left out"),
    holdOut: z.number().gt(0).lt(1).optional().describe("the share of `text` that is held out, 0.05 when no validation file is named"),
    maxLength: z.int().min(4).default(128).describe("tokens of an example at most"),
    maskProbability: z.number().gt(0).lt(1).default(0.15).describe("share of tokens to be predicted, masked or in spans"),
    meanSpan: z.number().min(1).default(3).describe("mean length in tokens of the spans that an encoder-decoder predicts"),
    ...trainingSchema(kernel),
  }).refine(({ validation, holdOut }) => validation === undefined || holdOut === undefined, { path: ["holdOut"], message: "must be left out where validation names a file" });

type PretrainRecipe = z.output<ReturnType<typeof schemaOf>>;

/** The stage `pretrain` for a kernel: language modelling over all parameters, as the head has it. */
export function pretrainContribution(kernel: Kernel): Contribution<Stage> {
  return {
    id: "pretrain",
    summary: "Trains all parameters by language modelling on texts (masked, spans or causal), and writes a model folder",
    get options() {
      return schemaOf(kernel);
    },
    create(options: PretrainRecipe) {
      const { text, column, validation, holdOut, maxLength, maskProbability, meanSpan, ...training } = options;
      const made = { ...trainingSettings(kernel, training), text, column, validation, holdOut, maxLength, maskProbability, meanSpan };
      return stageOf("pretrain", options, (artifact, context, name) => pretrainArtifact(artifact, made, { context, name, kernel }));
    },
  };
}

/** The stage `pretrain` in a pipeline that began with `load` or `init`. */
export function pretrain(options: PretrainOptions): OperatorFunction<Artifact, Artifact> {
  return inPipeline("pretrain", (artifact, context, name) => pretrainArtifact(artifact, options, { context, name, kernel: contextOf(artifact).kernel }));
}

/**
 * Trains every parameter of a model and writes it to `model` in the run's folder. The objective is the head's: masked language modelling, span
 * corruption of an encoder-decoder, causal language modelling of a decoder.
 * @throws DeftError `pretrain.head`, `pretrain.attached`, `pretrain.weights` where linear layers are not dense, `pretrain.mask`, `pretrain.sentinel`, `task.empty`, those of reading data and training
 */
export async function pretrainArtifact(artifact: Artifact, options: PretrainOptions, { context, name, kernel }: { context: StageContext; name: string; kernel: Kernel }): Promise<Artifact> {
  const { model, attachments } = artifact;
  if (model.head !== "masked-language-model" && model.head !== "language-model")
    throw new DeftError("pretrain.head", `pretrain: the model must have a masked-language-model or language-model head, got ${model.head}. Load it with one of them.`);
  if (attachments.length > 0)
    throw new DeftError("pretrain.attached", `pretrain: the model must stand alone, got ${attachments.map(({ method }) => method.id).join(", ")} attached. Merge it first (export, layout: model), or pretrain before fine-tuning.`);
  const formats = formatsOf(model).map(({ id }) => id).join(", ");
  if (formats !== "") throw new DeftError("pretrain.weights", `pretrain: every linear layer must be held dense, got ${formats}, whose values cannot be trained. Pretrain before pruning or quantizing, or train beside the weights (finetune).`);
  const task = await corpus(artifact, options, context);
  const { trainableParameters, ...result } = await trainStage({ artifact, context, name, settings: options, task, attachments, variables: [...model.parameters().values()], meters: defaultMeters(kernel) });
  const trained = withMetrics(artifact, "pretrain", { ...trainingMetrics(result), trainableParameters });
  if (context.folder === undefined) return trained;
  const path = join(context.folder, MODEL_FOLDER);
  await saveModel(path, trained);
  return { ...trained, source: path };
}

async function corpus(artifact: Artifact, options: PretrainOptions, context: StageContext): Promise<OpenTask> {
  const { model, tokenizer } = artifact;
  const { text, validation, holdOut = 0.05, maskProbability: probability = 0.15, meanSpan = 3 } = options;
  const rng = context.rng.fork("corpus");
  const all = await encodedTexts(text, options, artifact);
  const order = rng.permutation(all.length);
  const held = validation === undefined ? Math.max(1, Math.round(all.length * holdOut)) : 0;
  const examples = (from: number, to: number): Encoded[] => [...order.subarray(from, to)].sort((a, b) => a - b).map((i) => all[i] as Encoded);
  const split = (name: string, chosen: readonly Encoded[]): Split => {
    const plain = makeSplit({ name, examples: chosen, padId: tokenizer.padId });
    if (model.head === "masked-language-model") return maskedSplit(plain, { tokenizer, probability, rng });
    return formOf(model) === "causal" ? causalSplit(plain) : spanCorruptedSplit(plain, { tokenizer, probability, meanSpan, rng });
  };
  const dev = validation === undefined ? examples(0, held) : await encodedTexts(validation, options, artifact);
  return { train: split("train", examples(held, all.length)), evaluation: [split("dev", dev)], labels: [] };
}

/** Texts of which nothing could be predicted are left out. */
async function encodedTexts(file: string, { column, maxLength = 128 }: PretrainOptions, artifact: Artifact): Promise<Encoded[]> {
  const { tokenizer } = artifact;
  const isLearnable = learnable(artifact);
  const encoded: Encoded[] = [];
  for await (const { text } of readTexts(file, { column })) {
    if (text.trim() === "") continue;
    const example = { ...tokenizer.encode(text, undefined, maxLength), label: 0 };
    if (isLearnable(example)) encoded.push(example);
  }
  if (encoded.length === 0) throw new DeftError("task.empty", `pretrain: ${file} must hold texts of what the tokenizer knows, got none. Check the file.`);
  return encoded;
}

/** Whether an example has something to be predicted: for a mask a token that is not special, for a decoder a second one. */
function learnable({ model, tokenizer }: Artifact): (example: Pick<Encoded, "inputIds">) => boolean {
  const special = specialIds(tokenizer);
  if (model.head === "masked-language-model") return ({ inputIds }) => inputIds.some((id) => !special.has(id));
  return formOf(model) === "causal" ? ({ inputIds }) => inputIds.length > 1 : () => true;
}
