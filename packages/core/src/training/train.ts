import { DeftError, Rng, type Variable } from "@deft-js/tensor";
import type { EvaluationCompleted, RunCommand, RunEvent } from "../events/events.ts";
import { stateOf } from "../method/state.ts";
import { grouped } from "./batch-tensors.ts";
import { BestState } from "./best.ts";
import { breathe } from "./breathe.ts";
import { checkData, type Cursor, type TrainingState } from "./checkpoint.ts";
import { evaluate } from "./evaluate.ts";
import { formOf } from "./generated.ts";
import { checkMeters, planOf, trainableVariables, type Plan, type TrainingOptions, type TrainingResult } from "./options.ts";
import { trainingStarted } from "./started.ts";
import { TrainingStep } from "./training-step.ts";

/**
 * Trains the declared variables of a model on a task: the one training loop. Evaluates, saves and obeys commands between
 * steps; a repetition with the same `rng` and a resumed run give the same bits. What it makes it disposes; the variables stay.
 * @throws DeftError `training.variables`, `training.options`, `training.empty`, `training.terms`, `training.weight`,
 * `training.nonfinite`, `training.metric`, `training.resume`, those of `evaluate`, and what the checkpoint store throws
 */
export function train(options: TrainingOptions): Promise<TrainingResult> {
  return options.stream?.guard?.(() => trained(options)) ?? trained(options);
}

async function trained(options: TrainingOptions): Promise<TrainingResult> {
  const state = options.resume === true ? await options.checkpoints?.load("last") : undefined;
  const training = new Training(options, new Rng((state?.rng ?? options.rng.state).seed));
  try {
    if (state !== undefined) await training.restore(state);
    return await training.run();
  } finally {
    training.dispose();
  }
}

class Training {
  readonly #options: TrainingOptions;
  readonly #plan: Plan;
  readonly #variables: readonly Variable[];
  readonly #rng: Rng;
  readonly #step: TrainingStep;
  readonly #best: BestState;
  readonly #commands: RunCommand[] = [];
  readonly #unsubscribe: () => void;
  readonly #history: EvaluationCompleted[] = [];
  #cursor: Cursor = { epoch: 0, batches: 0 };
  #saved = 0;
  #stopped: string | undefined;

  constructor(options: TrainingOptions, rng: Rng) {
    const { model, losses, optimizer, clipNorm, dropout = true } = options;
    this.#options = options;
    checkMeters(options.meters);
    this.#plan = planOf(options);
    this.#variables = trainableVariables(options);
    this.#rng = rng;
    this.#best = new BestState(options);
    this.#step = new TrainingStep({ model, variables: this.#variables, losses, optimizer, totalSteps: this.#plan.totalSteps, clipNorm, dropout: dropout ? rng.fork("dropout") : undefined });
    const subscription = options.stream?.commands.subscribe((command) => this.#commands.push(command));
    this.#unsubscribe = () => subscription?.unsubscribe();
  }

  /** Continues from a state. The best file may be newer than the last one: it is the truth about what is best. */
  async restore(state: TrainingState): Promise<void> {
    checkData(state, this.#plan.data);
    this.#step.loadState(state);
    this.#cursor = state.cursor;
    this.#saved = state.step;
    this.#history.push(...state.history);
    const best = state.best === undefined ? undefined : await this.#options.checkpoints?.load("best");
    if (best?.best !== undefined) this.#best.take(best.best, best.variables);
  }

  async run(): Promise<TrainingResult> {
    this.#emit(trainingStarted(this.#options, this.#variables, this.#plan));
    await this.#obey();
    while (!this.#finished()) await this.#epoch();
    const { evaluateEvery, checkpoints, keep } = this.#options;
    if (evaluateEvery !== "never") await this.#evaluate();
    if (checkpoints !== undefined && this.#saved !== this.#step.done) await this.#save("last");
    const best = this.#best.record;
    const kept = keep === "best" && best !== undefined ? best.step : this.#step.done;
    if (kept !== this.#step.done) this.#step.loadVariables(this.#best.variables);
    return { steps: this.#step.done, stopped: this.#stopped, best, keptStep: kept, history: this.#history };
  }

  dispose(): void {
    this.#unsubscribe();
    this.#step.dispose();
  }

  #finished(): boolean {
    return this.#stopped !== undefined || this.#step.done >= this.#plan.totalSteps || this.#cursor.epoch >= this.#plan.epochs;
  }

  async #epoch(): Promise<void> {
    const { task, batchSize, accumulate = 1, shuffle = true, bucket } = this.#options;
    const { epoch, batches: skip } = this.#cursor;
    this.#emit({ type: "epoch.started", time: Date.now(), epoch, epochs: this.#plan.epochs });
    const order = shuffle ? this.#rng.fork("data").fork(`epoch ${epoch}`) : undefined;
    let used = skip;
    for (const { batches, last } of grouped(task.train.batches({ batchSize, order, skip, bucket, form: formOf(this.#options.model) }), accumulate)) {
      const report = await this.#step.step(batches, epoch);
      used += batches.length;
      this.#cursor = last ? { epoch: epoch + 1, batches: 0 } : { epoch, batches: used };
      this.#emit({ type: "step.completed", time: Date.now(), ...report });
      await this.#between(last);
      if (this.#finished()) return;
    }
    if (this.#cursor.epoch === epoch) throw new DeftError("training.batches", `training: split ${task.train.name} must give batches up to its size of ${task.train.size}, got none from batch ${skip} on. Correct the split.`);
  }

  /** What happens between two steps. A save comes after the evaluation of its step, so that a resume repeats neither. */
  async #between(epochEnd: boolean): Promise<void> {
    const { evaluateEvery = "epoch", saveEvery = "epoch", checkpoints } = this.#options;
    const due = (every: number | "epoch" | "never"): boolean => (typeof every === "number" ? this.#step.done % every === 0 : every === "epoch" && epochEnd);
    if (due(evaluateEvery)) await this.#evaluate();
    if (checkpoints !== undefined && due(saveEvery)) await this.#save("last");
    await breathe();
    await this.#obey();
  }

  /** Does what subscribers asked for since the last step. */
  async #obey(): Promise<void> {
    for (let command = this.#commands.shift(); command !== undefined; command = this.#commands.shift()) {
      if (command.type === "stop") this.#stopped ??= command.reason ?? "asked to";
      else if (command.type === "evaluate") await this.#evaluate();
      else if (command.type === "save" && this.#options.checkpoints !== undefined) await this.#save("last");
      else if (command.type === "set-weight") this.#setWeight(command.term, command.weight);
    }
  }

  #setWeight(term: string, weight: number): void {
    try {
      this.#step.objective.setWeight(term, weight);
    } catch (error) {
      this.#emit({ type: "warning", time: Date.now(), message: (error as Error).message });
    }
  }

  /** Evaluates every split, once for a step; keeps the state when the first split's metric is the best so far. */
  async #evaluate(): Promise<void> {
    const { model, task, metrics, meters, stream, batchSize, evaluationBatchSize = batchSize } = this.#options;
    const step = this.#step.done;
    if (this.#history.at(-1)?.step === step) return;
    const results: EvaluationCompleted[] = [];
    for (const split of task.evaluation) results.push(await evaluate({ model, split, metrics, meters, labels: task.labels, batchSize: evaluationBatchSize, stream, step }));
    this.#history.push(...results);
    const improved = results[0] && this.#best.isImproved(results[0]);
    if (improved === undefined) return;
    this.#best.take(improved, stateOf(this.#variables));
    if (this.#options.checkpoints !== undefined) await this.#save("best");
  }

  async #save(kind: "last" | "best"): Promise<void> {
    const path = await this.#options.checkpoints?.save(kind, this.#state());
    const step = this.#step.done;
    if (kind === "last") this.#saved = step;
    this.#emit({ type: "checkpoint.saved", time: Date.now(), step, path: path ?? "", kind });
  }

  #state(): TrainingState {
    return { ...this.#step.state(), cursor: this.#cursor, data: this.#plan.data, rng: this.#rng.state, best: this.#best.record, history: [...this.#history] };
  }

  #emit(event: RunEvent): void {
    this.#options.stream?.emit(event);
  }
}
