import { DeftError, EXECUTION, evaluate as measure, METER, TASK, withMetrics, type Artifact, type Contribution, type Execution, type Kernel, type Meter, type Split, type Stage, type StageContext, type Task } from "@deft-js/core";
import type { OperatorFunction } from "rxjs";
import { z } from "zod";
import { choice, makeChosen } from "../recipe/choice.ts";
import { contextOf } from "../run/context.ts";
import { inPipeline, stageOf } from "./stage.ts";
import { defaultMeters, demandHead, demandLabelOrder, openTask } from "./task.ts";

/** Options of `evaluate` in code. */
export interface EvaluateStageOptions {
  /** The artifact's task when left out. */
  readonly task?: Task | undefined;
  /** Every installed meter when left out. */
  readonly meters?: readonly Meter[] | undefined;
  /** Names of splits; all evaluation splits when left out. `train` may be named too. */
  readonly splits?: readonly string[] | undefined;
  /** How the layers run while it is measured; densely when left out. Calibrated on the first batches of `train`. */
  readonly execution?: Execution | undefined;
  /** 32 when left out. */
  readonly batchSize?: number | undefined;
}

const schemaOf = (kernel: Kernel) =>
  z.strictObject({
    task: choice(kernel, TASK).optional().describe("the task of the stages before when left out"),
    meters: z.array(choice(kernel, METER)).optional().describe("every installed meter when left out"),
    splits: z.array(z.string()).min(1).optional().describe("all evaluation splits when left out; train may be named too"),
    execution: choice(kernel, EXECUTION).optional().describe("how the layers run while it is measured; densely when left out. Calibrated on the first batches of train"),
    batchSize: z.int().min(1).default(32),
  });

type EvaluateRecipe = z.output<ReturnType<typeof schemaOf>>;

/** The stage `evaluate` for a kernel: metrics and meter reports of the model as it stands. */
export function evaluateContribution(kernel: Kernel): Contribution<Stage> {
  return {
    id: "evaluate",
    summary: "Computes the task's metrics and what the meters measure",
    get options() {
      return schemaOf(kernel);
    },
    create({ task, meters, execution, ...rest }: EvaluateRecipe) {
      const made: EvaluateStageOptions = {
        ...rest,
        task: task === undefined ? undefined : makeChosen(kernel, TASK, task),
        meters: meters?.map((meter) => makeChosen(kernel, METER, meter)) ?? undefined,
        execution: execution === undefined ? undefined : makeChosen(kernel, EXECUTION, execution),
      };
      const options = { ...rest, ...(task === undefined ? {} : { task }), ...(meters === undefined ? {} : { meters }), ...(execution === undefined ? {} : { execution }) };
      return Object.assign(stageOf("evaluate", options, (artifact, context) => evaluateArtifact(artifact, made, { context, kernel })), { task: made.task });
    },
  };
}

/** The stage `evaluate` in a pipeline that began with `load`. */
export function evaluate(options: EvaluateStageOptions = {}): OperatorFunction<Artifact, Artifact> {
  return inPipeline("evaluate", (artifact, context) => evaluateArtifact(artifact, options, { context, kernel: contextOf(artifact).kernel }));
}

/** Throws `evaluate.task` when there is no task, `model.head` when the head does not answer it, `evaluate.split` when there is no such split, `evaluation.labels` when the model has the classes in another order. */
export async function evaluateArtifact(artifact: Artifact, options: EvaluateStageOptions, { context, kernel }: { context: StageContext; kernel: Kernel }): Promise<Artifact> {
  const { task = artifact.task, meters = defaultMeters(kernel), splits, execution, batchSize = 32 } = options;
  if (task === undefined) throw new DeftError("evaluate.task", "evaluate: needs a task, got none from the stages before. Give it one.");
  demandHead("evaluate", artifact.model, task);
  const open = await openTask(task, { tokenizer: artifact.tokenizer, rng: context.rng });
  demandLabelOrder("evaluate", artifact, open);
  const known = [open.train, ...open.evaluation];
  const wanted = splits?.map((name) => known.find((split) => split.name === name) ?? noSplit(name, known.map((split) => split.name))) ?? open.evaluation;
  const measured = async (split: Split): Promise<unknown> => {
    const { examples, metrics, reports } = await measure({ model: artifact.model, split, metrics: task.metrics?.bind(task), meters, labels: open.labels, batchSize, stream: context });
    return { examples, metrics, reports };
  };
  const installed = await execution?.install(artifact.model, { rng: context.rng.fork("execution"), calibration: () => open.train.batches({ batchSize }) });
  const results: Record<string, unknown> = {};
  let ran = {};
  try {
    for (const split of wanted) results[split.name] = await measured(split);
    if (execution !== undefined) ran = { execution: { id: execution.id, options: execution.options, exact: execution.exact, ...installed?.report() } };
  } finally {
    installed?.uninstall();
  }
  return withMetrics({ ...artifact, task }, "evaluate", { evaluations: results, ...ran });
}

function noSplit(name: string, known: readonly string[]): never {
  throw new DeftError("evaluate.split", `evaluate: a split must be one of ${known.join(", ")}, got ${name}. Correct the name.`);
}
