import { Kernel, RunStream, type Artifact, type RunCommand, type RunEvent, type StageContext } from "@deft-js/core";
import { Rng } from "@deft-js/tensor";
import type { Observable } from "rxjs";

/** Options of a run's context. */
export interface RunContextOptions {
  readonly kernel: Kernel;
  readonly seed: number;
  readonly folder?: string | undefined;
  readonly resume?: boolean | undefined;
}

/** What the stages of one run share: streams, generator, folder, and which stage is at work. */
export class RunContext implements StageContext {
  readonly kernel: Kernel;
  readonly seed: number;
  readonly folder: string | undefined;
  readonly resume: boolean;
  readonly rng: Rng;
  readonly #stream = new RunStream();
  #stages = 0;

  constructor({ kernel, seed, folder, resume = false }: RunContextOptions) {
    this.kernel = kernel;
    this.seed = seed;
    this.folder = folder;
    this.resume = resume;
    this.rng = new Rng(seed);
  }

  get events(): Observable<RunEvent> {
    return this.#stream.events;
  }

  get commands(): Observable<RunCommand> {
    return this.#stream.commands;
  }

  /** How many stages have begun. */
  get stages(): number {
    return this.#stages;
  }

  emit(event: RunEvent): void {
    this.#stream.emit(event);
  }

  command(command: RunCommand): void {
    this.#stream.command(command);
  }

  /** See `RunStream.guard`. */
  guard<T>(work: () => Promise<T>): Promise<T> {
    return this.#stream.guard(work);
  }

  /** Counts a stage that begins. @returns its number, from 0 */
  nextStage(): number {
    return this.#stages++;
  }

  complete(): void {
    this.#stream.complete();
  }
}

const CONTEXT = Symbol.for("deft-js/run-context");

/** An artifact that carries its run; spreading it into a new artifact carries the run on. */
interface RunArtifact extends Artifact {
  readonly [CONTEXT]?: RunContext;
}

/** The artifact as one of this run. */
export function withContext(artifact: Artifact, context: RunContext): Artifact {
  return { ...artifact, [CONTEXT]: context } as RunArtifact;
}

/** The run that an artifact is of; one of its own, with seed 42 and no folder, when it was made without. */
export function contextOf(artifact: Artifact): RunContext {
  return (artifact as RunArtifact)[CONTEXT] ?? new RunContext({ kernel: new Kernel(), seed: 42 });
}
