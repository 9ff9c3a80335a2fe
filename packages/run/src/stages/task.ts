import { DeftError, METER, type Artifact, type HeadKind, type Kernel, type Meter, type Model, type OpenTask, type Task, type Tokenizer } from "@deft-js/core";
import type { Rng } from "@deft-js/tensor";

const opened = new WeakMap<Task, WeakMap<Tokenizer, Map<number, Promise<OpenTask>>>>();

/** A task with its data open for a tokenizer and a seed; opened once however often it is asked for, unless it failed. */
export function openTask(task: Task, { tokenizer, rng }: { tokenizer: Tokenizer; rng: Rng }): Promise<OpenTask> {
  let byTokenizer = opened.get(task);
  if (byTokenizer === undefined) opened.set(task, (byTokenizer = new WeakMap()));
  let bySeed = byTokenizer.get(tokenizer);
  if (bySeed === undefined) byTokenizer.set(tokenizer, (bySeed = new Map()));
  const { seed } = rng.state;
  const known = bySeed.get(seed);
  if (known !== undefined) return known;
  const open = task.open({ tokenizer, rng: rng.fork("task") });
  bySeed.set(seed, open);
  open.catch(() => bySeed.delete(seed));
  return open;
}

/** @throws DeftError `model.head` when the model's head does not answer the task */
export function demandHead(who: string, { head }: Pick<Model, "head">, task: Pick<Task, "id" | "head">): void {
  if (kindOf(head) !== kindOf(task.head)) throw new DeftError("model.head", `${who}: ${task.id} needs a ${task.head} head, got ${head}. Load the model with that head, or name the adapter or a fine-tuned model.`);
}

/**
 * A model's classes in another order than the task's would be scored as each other. Only where both have the same names can that be seen.
 * @throws DeftError `evaluation.labels`
 */
export function demandLabelOrder(who: string, { model, training }: Pick<Artifact, "model" | "training">, { labels }: Pick<OpenTask, "labels">): void {
  if (!model.head.endsWith("-classification")) return;
  const trained = training?.labels ?? [];
  const named = trained.length > 0 ? trained : Object.values((model.config["id2label"] ?? {}) as Readonly<Record<string, string>>);
  const [own, wanted] = [named, labels].map((names) => names.map((name) => name.toLowerCase())) as [string[], string[]];
  if (own.join("\n") !== wanted.join("\n") && own.sort().join("\n") === wanted.sort().join("\n"))
    throw new DeftError("evaluation.labels", `${who}: the task must have its classes in the model's order ${named.join(", ")}, got ${labels.join(", ")}. Give the task \`labels\` in that order where it takes them, or fine-tune the model on it.`);
}

/** Both classification heads answer the same tasks. */
const kindOf = (head: HeadKind): string => head.replace(/^tanh-|^sequence-/, "");

/** Every installed meter that needs no options. */
export function defaultMeters(kernel: Kernel): readonly Meter[] {
  return kernel
    .contributions(METER)
    .filter(({ options }) => options === undefined || options.safeParse({}).success)
    .map(({ id }) => kernel.create(METER, id));
}
