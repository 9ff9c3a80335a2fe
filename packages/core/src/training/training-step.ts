import { add, DeftError, gradientsOf, memory, readAsync, type Rng, scale, scope, squaredNorms, type Tensor, type Variable } from "@deft-js/tensor";
import type { HostBatch } from "../contracts/batch.ts";
import type { LossTerm, Progress } from "../contracts/method.ts";
import type { Model, NamedArray } from "../contracts/model.ts";
import type { StepCompleted } from "../events/events.ts";
import { loadVariables, stateOf } from "../method/state.ts";
import { evaluationContext, trainingContext } from "../model/index.ts";
import { batchTensors, tokensIn } from "./batch-tensors.ts";
import { CHECKPOINT } from "./checkpoint.ts";
import { checkFinite, type StepScalars } from "./nonfinite.ts";
import { Objective, type ComputedObjective } from "./objective.ts";
import type { Optimizer, OptimizerDefinition } from "./optimizer.ts";
import { termValues, type TermValues } from "./term-values.ts";

/** What one optimizer step did. */
export type StepReport = Omit<StepCompleted, "type" | "time">;

/** Options of `TrainingStep`. */
export interface TrainingStepOptions {
  readonly model: Model;
  /** What is trained; each is marked trainable. */
  readonly variables: readonly Variable[];
  /** Terms beside the model's own loss. */
  readonly losses?: readonly LossTerm[] | undefined;
  readonly optimizer: OptimizerDefinition;
  /** Steps planned: what the schedules are laid over. */
  readonly totalSteps: number;
  /** Largest ‖g‖₂ over all variables; no clipping when left out. */
  readonly clipNorm?: number | undefined;
  /** The stream of the dropout seeds; without it the model runs in evaluation mode and dropout is off. */
  readonly dropout?: Rng | undefined;
}

/** What a `TrainingStep` needs to continue. */
export interface StepState {
  /** Optimizer steps done. */
  readonly step: number;
  readonly variables: readonly NamedArray[];
  readonly moments: readonly NamedArray[];
  /** Weights set by command. */
  readonly weights: Readonly<Record<string, number>>;
}

/** One optimizer step at a time: gradients over micro-batches, clipping, update. Owns the optimizer's moments, not the variables. */
export class TrainingStep {
  readonly objective: Objective;
  readonly #options: TrainingStepOptions;
  readonly #optimizer: Optimizer;
  #done = 0;

  /** @throws DeftError `training.variables` when there is nothing to train or two variables share a path */
  constructor(options: TrainingStepOptions) {
    checkVariables(options.variables);
    this.#options = options;
    this.objective = new Objective(options.model, options.losses ?? []);
    for (const variable of options.variables) variable.trainable = true;
    this.#optimizer = options.optimizer.create(options.variables, options.totalSteps);
  }

  /** Optimizer steps done. */
  get done(): number {
    return this.#done;
  }

  /**
   * One step: the gradient is the mean over the micro-batches, each counting the same (as in Hugging Face's accumulation).
   * Reads its numbers once, before the update; all tensors that it makes are disposed.
   * @throws DeftError `training.nonfinite` before any variable is changed
   */
  async step(batches: readonly HostBatch[], epoch = 0): Promise<StepReport> {
    const started = performance.now();
    const progress: Progress = { step: this.#done, totalSteps: this.#options.totalSteps, epoch };
    const weights = this.objective.weights(progress);
    if (batches.length === 0) throw new DeftError("training.batches", "training step: needs at least one micro-batch, got none. Pass one.");
    const { terms, norms, gradients } = scope(() => this.#gradients(batches, weights, progress));
    let report;
    try {
      const scalars = await this.#scalars(terms, norms, weights);
      checkFinite(this.#done + 1, scalars);
      report = { ...this.#report(scalars, weights, progress), gradientNorm: this.#update(gradients, scalars, batches.length) };
    } finally {
      for (const tensor of [...terms.map(({ parts }) => parts), norms, ...gradients]) tensor.dispose();
    }
    this.#done++;
    const tokens = batches.reduce((sum, batch) => sum + tokensIn(batch), 0);
    return { ...report, tokens, milliseconds: performance.now() - started, tensors: memory().tensors };
  }

  state(): StepState {
    return { step: this.#done, variables: stateOf(this.#options.variables), moments: this.#optimizer.state(), weights: this.objective.overrides };
  }

  /** Continues where `state` was taken. Throws `training.resume` when it is of other variables. */
  loadState(state: StepState): void {
    this.loadVariables(state.variables);
    this.#optimizer.loadState(state.moments);
    for (const [term, weight] of Object.entries(state.weights)) this.objective.setWeight(term, weight);
    this.#done = state.step;
  }

  /** Takes values of the variables alone. */
  loadVariables(arrays: readonly NamedArray[]): void {
    loadVariables(this.#options.variables, arrays, CHECKPOINT);
  }

  dispose(): void {
    this.#optimizer.dispose();
  }

  /** The terms of each micro-batch; the gradients, summed over the micro-batches, and their ‖g‖². */
  #gradients(batches: readonly HostBatch[], weights: readonly number[], progress: Progress): { terms: TermValues[]; norms: Tensor; gradients: Tensor[] } {
    const terms: TermValues[] = [];
    let sums: Tensor[] = [];
    for (const [i, batch] of batches.entries()) {
      const part = scope(() => this.#microBatch(batch, i, weights, progress));
      terms.push(part.terms);
      sums = i === 0 ? part.gradients : summed(sums, part.gradients);
    }
    return { terms, norms: squaredNorms(sums), gradients: sums };
  }

  /** The terms and the gradients in the variables' order. */
  #microBatch(host: HostBatch, index: number, weights: readonly number[], progress: Progress): { terms: TermValues; gradients: Tensor[] } {
    const { model, variables, dropout } = this.#options;
    const mode = dropout === undefined ? evaluationContext : trainingContext(dropout.fork(`step ${progress.step} batch ${index}`));
    const context = { ...mode, progress };
    const batch = batchTensors(host);
    let objective: ComputedObjective | undefined;
    try {
      const gradients = gradientsOf(() => {
        objective = this.objective.compute((taps) => model.forward(batch, taps, context), batch, weights, progress);
        return objective.summands;
      }, variables);
      return { terms: termValues(objective?.terms ?? []), gradients: variables.map((variable) => gradients.get(variable.path) as Tensor) };
    } finally {
      objective?.end();
    }
  }

  async #scalars(batches: readonly TermValues[], norms: Tensor, weights: readonly number[]): Promise<StepScalars> {
    const { names } = this.objective;
    const [squares, ...read] = await Promise.all([norms, ...batches.map(({ parts }) => parts)].map(readAsync)) as [Float32Array, ...Float32Array[]];
    const values = batches.map((batch, i) => batch.terms(read[i] as Float32Array));
    const terms = names.map((_, i) => values.reduce((total, ofBatch) => total + (ofBatch[i] as number), 0) / batches.length);
    const loss = terms.reduce((sum, term, i) => (weights[i] === 0 ? sum : sum + (weights[i] as number) * term), 0);
    const squaredNorms = this.#options.variables.map((variable, i) => [variable.path, squares[i] as number] as const);
    return { terms: Object.fromEntries(names.map((name, i) => [name, terms[i] as number])), loss, squaredNorms: new Map(squaredNorms) };
  }

  /** Changes the variables. @returns ‖g‖₂ before clipping */
  #update(sums: readonly Tensor[], { squaredNorms }: StepScalars, count: number): number {
    const { clipNorm, variables } = this.#options;
    const norm = Math.sqrt([...squaredNorms.values()].reduce((sum, n) => sum + n, 0)) / count;
    const factor = (clipNorm === undefined ? 1 : Math.min(1, clipNorm / (norm + 1e-6))) / count;
    scope(() => {
      const gradients = variables.map((variable, i) => [variable.path, factor === 1 ? (sums[i] as Tensor) : scale(sums[i] as Tensor, factor)] as const);
      this.#optimizer.update(new Map(gradients), this.#done);
    });
    return norm;
  }

  #report({ terms, loss }: StepScalars, weights: readonly number[], { step, totalSteps, epoch }: Progress) {
    const named = Object.fromEntries(this.objective.names.map((name, i) => [name, weights[i] as number]));
    return { step: step + 1, totalSteps, epoch, learningRate: this.#optimizer.learningRateAt(step), loss, terms, weights: named };
  }
}

function checkVariables(variables: readonly Variable[]): void {
  if (variables.length === 0)
    throw new DeftError("training.variables", "training: needs at least one trainable variable, got none. Attach a PEFT method, load the model with a trainable head, or pass `variables`.");
  const paths = new Set<string>();
  for (const { path } of variables) {
    if (paths.has(path)) throw new DeftError("training.variables", `training: trainable variables must have paths of their own, got ${path} twice. Pass each variable once.`);
    paths.add(path);
  }
}

function summed(sums: readonly Tensor[], parts: readonly Tensor[]): Tensor[] {
  const next = scope(() => sums.map((sum, i) => add(sum, parts[i] as Tensor)));
  for (const tensor of [...sums, ...parts]) tensor.dispose();
  return next;
}
