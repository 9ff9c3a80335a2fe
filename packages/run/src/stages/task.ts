import { METER, type Kernel, type Meter, type OpenTask, type Task, type Tokenizer } from "@deft-js/core";
import type { Rng } from "@deft-js/tensor";

const opened = new WeakMap<Task, WeakMap<Tokenizer, Promise<OpenTask>>>();

/** A task with its data open for a tokenizer; opened once however often it is asked for. */
export function openTask(task: Task, { tokenizer, rng }: { tokenizer: Tokenizer; rng: Rng }): Promise<OpenTask> {
  let byTokenizer = opened.get(task);
  if (byTokenizer === undefined) opened.set(task, (byTokenizer = new WeakMap()));
  let open = byTokenizer.get(tokenizer);
  if (open === undefined) byTokenizer.set(tokenizer, (open = task.open({ tokenizer, rng: rng.fork("task") })));
  return open;
}

/** Every installed meter that needs no options. */
export function defaultMeters(kernel: Kernel): readonly Meter[] {
  return kernel
    .contributions(METER)
    .filter(({ options }) => options === undefined || options.safeParse({}).success)
    .map(({ id }) => kernel.create(METER, id));
}
