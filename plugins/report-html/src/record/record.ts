import { basename } from "node:path";
import type { EvaluationCompleted, ReportedRun, RunEvent, StepCompleted, TrainingStarted } from "@deft-js/core";

/** What one stage of a run did. */
export interface StageRecord {
  readonly id: string;
  readonly index: number;
  readonly training?: TrainingStarted | undefined;
  /** In their order; of a step that was repeated after a resume, the last. */
  readonly steps: readonly StepCompleted[];
  readonly evaluations: readonly EvaluationCompleted[];
  /** What the stage said when it was done: by its key in metrics.json; undefined while it is not. */
  readonly metrics?: unknown;
}

/** What is known about a run. */
export interface RunRecord {
  readonly label: string;
  readonly folder?: string | undefined;
  readonly recipe?: ReportedRun["recipe"];
  readonly seed?: number | undefined;
  readonly backend?: string | undefined;
  readonly versions: Readonly<Record<string, string>>;
  /** Time of the first event; undefined before any. */
  readonly started?: number | undefined;
  /** Time of the last event. */
  readonly ended?: number | undefined;
  /** Time at work in milliseconds, over all starts: from each to the last event before the next, so that the pause ahead of a resume is no part. */
  readonly milliseconds: number;
  /** How often the run was begun: more than once when it was resumed. */
  readonly starts: number;
  readonly outcome: "completed" | "failed" | "unfinished";
  readonly failure?: { readonly code: string; readonly message: string } | undefined;
  readonly warnings: readonly string[];
  readonly stages: readonly StageRecord[];
}

/** Makes a run's record of its events. A resumed run's events follow those of its first start: what was done again counts once. */
export class RunRecorder {
  readonly #run: Pick<ReportedRun, "folder" | "recipe">;
  readonly #stages: StageEvents[] = [];
  readonly #warnings = new Set<string>();
  #about: Pick<RunRecord, "seed" | "backend" | "versions" | "started" | "ended" | "milliseconds" | "starts" | "outcome" | "failure"> = { versions: {}, milliseconds: 0, starts: 0, outcome: "unfinished" };
  #open: StageEvents | undefined;

  constructor({ folder, recipe }: Pick<ReportedRun, "folder" | "recipe">) {
    this.#run = { folder, recipe };
  }

  add(event: RunEvent): void {
    const { started = event.time, ended = event.time, milliseconds } = this.#about;
    this.#about = { ...this.#about, started, ended: event.time, milliseconds: milliseconds + (event.type === "run.started" ? 0 : event.time - ended) };
    if (event.type === "run.started") {
      const { seed, backend, versions = {} } = event;
      this.#about = { ...this.#about, seed, backend, versions, starts: this.#about.starts + 1, outcome: "unfinished", failure: undefined };
    } else if (event.type === "run.completed") this.#about = { ...this.#about, outcome: "completed" };
    else if (event.type === "run.failed") this.#about = { ...this.#about, outcome: "failed", failure: { code: event.code, message: event.message } };
    else if (event.type === "warning") this.#warnings.add(event.message);
    else this.#addToStage(event);
  }

  record(): RunRecord {
    const { folder, recipe } = this.#run;
    const name = recipe?.content["name"];
    const label = typeof name === "string" ? name : folder === undefined ? "run" : basename(folder);
    return { label, folder, recipe, ...this.#about, warnings: [...this.#warnings], stages: this.#stages.map((stage) => stage.record()) };
  }

  #addToStage(event: RunEvent): void {
    if (event.type === "stage.started") this.#open = this.#stages.find(({ index }) => index === event.index) ?? this.#begin(event.stage, event.index);
    else if (event.type === "stage.completed") {
      (this.#open ?? this.#begin(event.stage, event.index)).metrics = event.metrics;
      this.#open = undefined;
    } else if (event.type === "training.started") this.#current(event).training = event;
    else if (event.type === "step.completed") this.#current(event).steps.set(event.step, event);
    else if (event.type === "evaluation.completed") this.#current(event).evaluations.set(`${event.step} ${event.split}`, event);
  }

  #begin(id: string, index: number): StageEvents {
    const stage = new StageEvents(id, index);
    this.#stages.push(stage);
    return stage;
  }

  /** The stage at work. Runs in code announce none: there each training, and the evaluations outside one, are a stage of their own. */
  #current({ type, ...event }: { readonly type: RunEvent["type"]; readonly step?: number }): StageEvents {
    if (this.#open !== undefined) return this.#open;
    const last = this.#stages.at(-1);
    const isOutside = type === "evaluation.completed" && event.step === 0;
    const isNew = last === undefined || type === "training.started" || (isOutside && last.training !== undefined);
    return isNew ? this.#begin(isOutside ? "evaluate" : "train", this.#stages.length) : last;
  }
}

class StageEvents {
  readonly id: string;
  readonly index: number;
  readonly steps = new Map<number, StepCompleted>();
  readonly evaluations = new Map<string, EvaluationCompleted>();
  training: TrainingStarted | undefined;
  metrics: unknown;

  constructor(id: string, index: number) {
    this.id = id;
    this.index = index;
  }

  record(): StageRecord {
    const { id, index, training, metrics } = this;
    const inOrder = <T extends { readonly step: number }>(events: Iterable<T>): T[] => [...events].sort((a, b) => a.step - b.step);
    return { id, index, training, metrics, steps: inOrder(this.steps.values()), evaluations: inOrder(this.evaluations.values()) };
  }
}
