import { WEIGHT_FORMAT, type Artifact, type HeadKind, type OpenTask, type Stage, type Task, type Tokenizer } from "@deft-js/core";
import { Rng } from "@deft-js/tensor";
import { initModel, openModel } from "../model/load.ts";
import { makeChosen, type Choice } from "../recipe/choice.ts";
import type { Recipe } from "../recipe/open.ts";
import { openTask } from "../stages/task.ts";

/** A stage that works on a task: the run opens its data before anything begins. */
type TaskStage = Stage & { readonly task?: Task | undefined };

/**
 * What a recipe begins with: its data opened and checked, its model built with the head and the labels that the first task needs, or with its own where nothing is trained on a task. Nothing is written.
 * @throws DeftError what the task throws on its data, and what loading a model throws
 */
export async function prepareArtifact({ kernel, content, stages }: Recipe, warn: (message: string) => void): Promise<Artifact> {
  const { model, seed } = content;
  if (typeof model === "object" && "init" in model) {
    const { init, ...rest } = model;
    return initModel({ kernel, config: init, seed, ...rest });
  }
  const reference = typeof model === "string" ? { path: model } : model;
  const { path, head, labels, weights, ...where } = reference as { path: string; head?: HeadKind; labels?: number; adapter?: string; weights?: Choice; revision?: string; offline?: boolean };
  const format = weights === undefined ? undefined : makeChosen(kernel, WEIGHT_FORMAT, weights);
  const opened = await openModel(path, { kernel, seed, weights: format, warn, ...where });
  const first = await openTasks(stages, opened.tokenizer, seed);
  const needed = (stages as readonly TaskStage[]).some(({ id, task }) => task !== undefined && id !== "evaluate") ? first : undefined;
  const kind = head ?? needed?.task.head ?? (stages.some(({ id }) => id === "pretrain") && opened.declaredHead !== "language-model" ? "masked-language-model" : undefined);
  return opened.build({ head: kind, labels: labels ?? labelsFor(kind, needed?.open) });
}

/** Opens every stage's task. @returns the first */
async function openTasks(stages: readonly Stage[], tokenizer: Tokenizer, seed: number): Promise<{ task: Task; open: OpenTask } | undefined> {
  let first: { task: Task; open: OpenTask } | undefined;
  for (const { task } of stages as readonly TaskStage[]) {
    if (task === undefined) continue;
    const open = await openTask(task, { tokenizer, rng: new Rng(seed) });
    first ??= { task, open };
  }
  return first;
}

function labelsFor(kind: HeadKind | undefined, open: OpenTask | undefined): number | undefined {
  return kind?.endsWith("-classification") === true && open !== undefined ? Math.max(1, open.labels.length) : undefined;
}
