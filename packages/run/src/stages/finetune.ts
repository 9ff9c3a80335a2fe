import { LOSS_TERM, METER, PEFT_METHOD, TASK, withMetrics, type Artifact, type Attachment, type Contribution, type Kernel, type LossTerm, type Meter, type PeftMethod, type Stage, type StageContext, type Task } from "@deft-js/core";
import type { OperatorFunction } from "rxjs";
import { z } from "zod";
import { choice, makeChosen, type Choice } from "../recipe/choice.ts";
import { contextOf } from "../run/context.ts";
import { inPipeline, stageOf } from "./stage.ts";
import { defaultMeters, demandHead, openTask } from "./task.ts";
import { trainingMetrics, trainingSchema, trainingSettings, type TrainingSettings } from "./training-options.ts";
import { trainStage } from "./train-stage.ts";

/** Options of `finetune` in code. */
export interface FinetuneOptions extends TrainingSettings {
  readonly task: Task;
  /** Methods to attach, in order; the head alone is trained (with what is attached already) when left out. */
  readonly peft?: PeftMethod | readonly PeftMethod[] | undefined;
  /** Terms beside the task's own loss. */
  readonly losses?: readonly LossTerm[] | undefined;
  /** What evaluations measure; every installed meter when left out. */
  readonly meters?: readonly Meter[] | undefined;
  /** What deft.json says of the losses; their names when left out. */
  readonly lossesRecord?: readonly unknown[] | undefined;
}

/** `finetune`'s options in recipes. */
export function finetuneSchema(kernel: Kernel) {
  return z.strictObject({
    task: choice(kernel, TASK).describe("the data, its labels and its metrics"),
    peft: z.union([choice(kernel, PEFT_METHOD), z.array(choice(kernel, PEFT_METHOD))]).optional().describe("a PEFT method, or several"),
    losses: z.array(choice(kernel, LOSS_TERM)).default([]).describe("terms beside the task's own loss"),
    meters: z.array(choice(kernel, METER)).optional().describe("what evaluations measure; every installed meter when left out"),
    ...trainingSchema(kernel),
  });
}

type FinetuneRecipe = z.output<ReturnType<typeof finetuneSchema>>;

/** The stage `finetune` for a kernel: attaches PEFT methods and trains them and the head on a task. */
export function finetuneContribution(kernel: Kernel): Contribution<Stage> {
  return {
    id: "finetune",
    summary: "Attaches PEFT methods and trains them and the head on a task",
    get options() {
      return finetuneSchema(kernel);
    },
    create(options: FinetuneRecipe) {
      const made = fromRecipe(kernel, options);
      return Object.assign(stageOf("finetune", options, (artifact, context, name) => finetuneArtifact(artifact, made, { context, name, kernel })), { task: made.task });
    },
  };
}

function fromRecipe(kernel: Kernel, { task, peft, losses, meters, ...training }: FinetuneRecipe): FinetuneOptions {
  const methods = peft === undefined ? [] : Array.isArray(peft) ? (peft as readonly Choice[]) : [peft as Choice];
  return {
    ...trainingSettings(kernel, training),
    task: makeChosen(kernel, TASK, task),
    peft: methods.map((method) => makeChosen(kernel, PEFT_METHOD, method)),
    losses: losses.map((loss) => makeChosen(kernel, LOSS_TERM, loss)),
    meters: meters?.map((meter) => makeChosen(kernel, METER, meter)),
    lossesRecord: losses,
  };
}

/** The stage `finetune` in a pipeline that began with `load`. */
export function finetune(options: FinetuneOptions): OperatorFunction<Artifact, Artifact> {
  return inPipeline("finetune", (artifact, context, name) => finetuneArtifact(artifact, options, { context, name, kernel: contextOf(artifact).kernel }));
}

/** Attaches and trains. When it fails, what it attached is detached again. Throws `model.head` when the head does not answer the task. */
export async function finetuneArtifact(artifact: Artifact, options: FinetuneOptions, { context, name, kernel }: { context: StageContext; name: string; kernel: Kernel }): Promise<Artifact> {
  const { task, peft = [], losses = [], meters = defaultMeters(kernel), lossesRecord = losses.map((loss) => loss.name), ...settings } = options;
  demandHead("finetune", artifact.model, task);
  const open = await openTask(task, { tokenizer: artifact.tokenizer, rng: context.rng });
  const fresh: Attachment[] = [];
  try {
    for (const [i, method] of [peft].flat().entries()) fresh.push(method.attach(artifact.model, context.rng.fork(`${name} attach ${i}`), { tokenizer: artifact.tokenizer }));
    const attachments = [...artifact.attachments, ...fresh];
    const { trainableParameters, ...result } = await trainStage({ artifact, context, name, settings, task: open, metrics: task.metrics?.bind(task), attachments, losses, meters });
    const training = { task: { [task.id]: task.options }, losses: lossesRecord, labels: open.labels };
    return withMetrics({ ...artifact, attachments, task, training }, "finetune", { ...trainingMetrics(result), trainableParameters, ...training });
  } catch (error) {
    for (const attachment of [...fresh].reverse()) detachQuietly(attachment);
    throw error;
  }
}

/** What fails while another error is on its way must not take its place, nor keep the others attached. */
function detachQuietly(attachment: Attachment): void {
  try {
    attachment.detach();
  } catch {
    // the error that is on its way is the cause
  }
}
