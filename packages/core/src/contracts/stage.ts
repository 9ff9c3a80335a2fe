import type { Observable, OperatorFunction } from "rxjs";
import type { Rng } from "@deft-js/tensor";
import type { Attachment } from "./method.ts";
import type { Model } from "./model.ts";
import type { Task, Tokenizer } from "./task.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { RunCommand, RunEvent } from "../events/events.ts";

/** What a model was trained to say, as plain JSON: this run's training, or the one that its adapter tells of. */
export interface TrainingRecord {
  /** Names of the classes by index; none for texts and scores. */
  readonly labels: readonly string[];
  /** The task as recipes name it: its options by its id. */
  readonly task?: Readonly<Record<string, unknown>> | undefined;
  /** The terms beside the task's loss, as in recipes. */
  readonly losses?: readonly unknown[] | undefined;
}

/** What flows from stage to stage: a model, what is attached to it, and what is known about it. Stages return a new one or the same. */
export interface Artifact {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** The folder that holds the base's weights, which adapters name, and files that are copied on (tokenizer.json). Of a new model that nothing has written yet, its tokenizer. */
  readonly source?: string | undefined;
  readonly attachments: readonly Attachment[];
  /** The task that it was last trained or evaluated on. */
  readonly task?: Task | undefined;
  /** Its last training, where it is known. */
  readonly training?: TrainingRecord | undefined;
  /** By stage name: metrics and reports as plain JSON. */
  readonly metrics: Readonly<Record<string, unknown>>;
}

/** What a stage may use of the run that it is in. */
export interface StageContext {
  readonly events: Observable<RunEvent>;
  readonly commands: Observable<RunCommand>;
  emit(event: RunEvent): void;
  readonly rng: Rng;
  /** Makes what a stage's options name by id: a task to calibrate on, a meter. */
  readonly kernel: Pick<Kernel, "create" | "contributions">;
  /** The run's folder; undefined when nothing is to be written. */
  readonly folder?: string | undefined;
  /** Continue from the last checkpoint in the folder. */
  readonly resume: boolean;
}

/** One step of a pipeline, configured. */
export interface Stage {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** The operator on the artifact. */
  operator(context: StageContext): OperatorFunction<Artifact, Artifact>;
}
