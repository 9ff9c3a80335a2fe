import { TASK, type Artifact, type Kernel } from "@deft-js/core";
import type { AdapterRecord } from "../adapter/record.ts";
import { makeChosen } from "../recipe/choice.ts";

/** What texts are put to a language model in. */
export interface PromptRequest {
  /** `task`: as the adapter's task put them while it was trained, where its folder tells; `none`: as they stand. `task` when left out. */
  readonly prompt?: "task" | "none" | undefined;
}

/** A text, or two, as the model is to read them. */
export type Prompt = (text: string, pair?: string) => string;

/** How the adapter's task puts texts to a language model; undefined where they go as they stand. Throws `plugin.unknown` without the task's plugin. */
export function promptOf({ kernel, artifact, record }: { readonly kernel: Kernel; readonly artifact: Artifact; readonly record?: AdapterRecord | undefined }, { prompt = "task" }: PromptRequest): Prompt | undefined {
  if (prompt === "none" || record?.task === undefined || artifact.model.head !== "language-model") return undefined;
  const task = makeChosen(kernel, TASK, record.task);
  return task.input?.bind(task);
}
