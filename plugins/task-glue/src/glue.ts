import type { OpenTask, Predictions, Split, Task, TaskContext } from "@deft-js/core";
import { encodeTexts, makeSplit } from "@deft-js/data";
import { GLUE } from "./definitions.ts";
import { findSources, type SplitSource } from "./files.ts";
import { glueMetrics } from "./metrics.ts";
import { glueOptions, type GlueOptions, type GlueSettings } from "./options.ts";
import { readExamples } from "./rows.ts";
import { glueInput, textSplit } from "./text-to-text.ts";

/**
 * One of the nine GLUE tasks from local files: sequence classification, or regression for STS-B; or text-to-text for language models.
 * Source: Wang et al., "GLUE: A multi-task benchmark and analysis platform for natural language understanding", ICLR 2019.
 * @throws DeftError `options.invalid`; on opening `task.files`, `task.empty`, `data.row`, `data.column`, `data.file`
 */
export function glue(settings: GlueSettings): Task {
  const options = glueOptions(settings);
  return {
    id: "glue",
    options,
    head: options.format === "labels" ? "sequence-classification" : "language-model",
    open: (context) => openGlue(options, context),
    ...(options.format === "labels" ? { metrics: (predictions: Predictions) => glueMetrics(options.name, predictions) } : { input: (text: string, pair?: string) => glueInput(options.name, text, pair) }),
  };
}

async function openGlue(options: GlueOptions, context: TaskContext): Promise<OpenTask> {
  const sources = await findSources(options);
  const train = await openSplit("train", sources.train, options.maxTrain, options, context);
  const evaluation: Split[] = [];
  for (const { name, source } of sources.evaluation) evaluation.push(await openSplit(name, source, options.maxEvaluation, options, context));
  return { train, evaluation, labels: options.format === "labels" ? GLUE[options.name].labels : [] };
}

async function openSplit(name: string, source: SplitSource, limit: number | undefined, options: GlueOptions, context: TaskContext): Promise<Split> {
  const examples = await readExamples(source, options, limit);
  if (options.format === "text-to-text") return textSplit(name, examples, options, context);
  const { tokenizer } = context;
  return makeSplit({
    name,
    examples: encodeTexts(examples, { tokenizer, maxLength: options.maxLength }),
    padId: tokenizer.padId,
    target: GLUE[options.name].labels.length === 0 ? "score" : "class",
    padTo: options.padToMaxLength ? options.maxLength : undefined,
  });
}
