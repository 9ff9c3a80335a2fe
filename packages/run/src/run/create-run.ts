import { DeftError, Kernel, type Artifact, type Attachment, type LossTerm, type Meter, type OptimizerDefinition, type PeftMethod, type RunCommand, type RunEvent, type Task } from "@deft-js/core";
import type { Observable } from "rxjs";
import { evaluateArtifact, type EvaluateStageOptions } from "../stages/evaluate.ts";
import { finetuneArtifact, type FinetuneOptions } from "../stages/finetune.ts";
import { RunContext } from "./context.ts";

/** What a run in code is made of. */
export interface CreateRunOptions {
  /** From `loadModel`. */
  readonly model: Artifact;
  readonly task: Task;
  readonly peft?: PeftMethod | readonly PeftMethod[] | undefined;
  readonly losses?: readonly LossTerm[] | undefined;
  readonly optimizer?: OptimizerDefinition | undefined;
  /** What evaluations measure; nothing besides the task's metrics when left out. */
  readonly meters?: readonly Meter[] | undefined;
  /** 42 when left out. */
  readonly seed?: number | undefined;
  /** Where checkpoints go; nowhere when left out. */
  readonly folder?: string | undefined;
  readonly resume?: boolean | undefined;
}

/** A training in code: the same loop that recipes run. */
export interface Run {
  readonly events: Observable<RunEvent>;
  command(command: RunCommand): void;
  /** Attaches the methods (the first time) and trains. @returns what the stage `finetune` says in metrics.json */
  fit(options: Omit<FinetuneOptions, "task" | "peft" | "losses" | "optimizer" | "meters">): Promise<Readonly<Record<string, unknown>>>;
  /** Metrics and meter reports as the model stands. */
  evaluate(options?: Omit<EvaluateStageOptions, "task">): Promise<Readonly<Record<string, unknown>>>;
  /** The model with what is attached and all metrics: for `saveAdapters`, or a pipeline. */
  readonly artifact: Artifact;
  readonly attachments: readonly Attachment[];
}

/** Makes a run: `const run = createRun({ model, task, peft: lora({ rank: 8 }) }); await run.fit({ epochs: 3 })`. Nothing happens before `fit`. */
export function createRun(options: CreateRunOptions): Run {
  return new CodeRun(options);
}

class CodeRun implements Run {
  readonly #options: CreateRunOptions;
  readonly #context: RunContext;
  #artifact: Artifact;
  #attached = false;
  #isBusy = false;

  constructor(options: CreateRunOptions) {
    const { model, seed = 42, folder, resume } = options;
    this.#options = options;
    this.#artifact = model;
    this.#context = new RunContext({ kernel: new Kernel(), seed, folder, resume });
  }

  get events(): Observable<RunEvent> {
    return this.#context.events;
  }

  get artifact(): Artifact {
    return this.#artifact;
  }

  get attachments(): readonly Attachment[] {
    return this.#artifact.attachments;
  }

  command(command: RunCommand): void {
    this.#context.command(command);
  }

  async fit(options: Parameters<Run["fit"]>[0]): Promise<Readonly<Record<string, unknown>>> {
    const { task, peft, losses, optimizer, meters = [] } = this.#options;
    return this.#alone(async () => {
      const name = `${this.#context.nextStage()}-finetune`;
      this.#artifact = await finetuneArtifact(this.#artifact, { ...options, task, losses, optimizer, meters, peft: this.#attached ? [] : peft }, this.#place(name));
      this.#attached = true;
      return this.#lastMetrics();
    });
  }

  async evaluate(options: Omit<EvaluateStageOptions, "task"> = {}): Promise<Readonly<Record<string, unknown>>> {
    const { task, meters = [] } = this.#options;
    return this.#alone(async () => {
      this.#artifact = await this.#context.guard(() => evaluateArtifact(this.#artifact, { meters, ...options, task }, this.#place("evaluate")));
      return this.#lastMetrics();
    });
  }

  /** One training or evaluation at a time. Throws `run.busy`. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new DeftError("run.busy", "run: fit and evaluate must come one after the other, got a call while another is under way. Await that one first.");
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }

  #place(name: string): { context: RunContext; name: string; kernel: Kernel } {
    return { context: this.#context, name, kernel: this.#context.kernel };
  }

  #lastMetrics(): Readonly<Record<string, unknown>> {
    return Object.values(this.#artifact.metrics).at(-1) as Readonly<Record<string, unknown>>;
  }
}
