import { adamWStep, DeftError, scale, scope, Variable, zeros, type AdamWParameter, type Tensor } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";
import { loadVariables, stateOf } from "../method/state.ts";
import { CHECKPOINT } from "./checkpoint.ts";
import type { Optimizer, OptimizerDefinition } from "./optimizer.ts";
import { checkWarmup, scheduleFactor, warmupStepsOf, type ScheduleKind, type Warmup } from "./schedule.ts";

/** Options of `adamW`. */
export interface AdamWOptions extends Warmup {
  /** η, the peak learning rate. */
  readonly learningRate: number;
  /** λ, decoupled; 0.01 by default. Applies to every trained variable, biases and norms included, as in the reference. */
  readonly weightDecay?: number | undefined;
  /** β₁, 0.9 by default. */
  readonly beta1?: number | undefined;
  /** β₂, 0.999 by default. */
  readonly beta2?: number | undefined;
  /** ε, 1e-8 by default. */
  readonly epsilon?: number | undefined;
  /** After the warm-up; `linear` by default. */
  readonly schedule?: ScheduleKind | undefined;
  /**
   * `torch` (default): decay first, ε beside the bias-corrected √v̂. `huggingface`: the `AdamW` of transformers, which the
   * reference uses for T5: p ← p − η√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε), then p ← p(1 − ηλ).
   */
  readonly variant?: "torch" | "huggingface" | undefined;
  /** Learning rates of their own: η times `factor` for the variables whose path the regular expression finds, by the first entry that does. */
  readonly rates?: readonly LearningRate[] | undefined;
}

/** A part of the trained variables and the factor of their learning rate. */
export interface LearningRate {
  /** A regular expression over paths. */
  readonly parameters: string;
  readonly factor: number;
}

type Settings = ReturnType<typeof settingsOf>;

/**
 * AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101) with moments keyed by parameter path and a learning-rate schedule.
 * @throws DeftError `optimizer.options` on a value out of range
 */
export function adamW(options: AdamWOptions): OptimizerDefinition {
  const settings = settingsOf(options);
  checkWarmup(options);
  check("learningRate", settings.learningRate, settings.learningRate >= 0, "a number from 0");
  check("weightDecay", settings.weightDecay, settings.weightDecay >= 0, "a number from 0");
  check("beta1", settings.beta1, settings.beta1 >= 0 && settings.beta1 < 1, "in [0, 1)");
  check("beta2", settings.beta2, settings.beta2 >= 0 && settings.beta2 < 1, "in [0, 1)");
  check("epsilon", settings.epsilon, settings.epsilon > 0, "greater than 0");
  oneOf("schedule", settings.schedule, ["linear", "constant", "cosine"]);
  oneOf("variant", settings.variant, ["torch", "huggingface"]);
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new DeftError("optimizer.options", `adamw: options must be among ${KEYS.join(", ")}, got ${unknown}. Correct the name.`);
  for (const [i, { factor }] of settings.rates.entries()) check(`rates.${i}.factor`, factor, factor >= 0, "a number from 0");
  return { id: "adamw", options: settings, create: (variables, totalSteps) => new AdamW(settings, variables, totalSteps) };
}

function settingsOf({ learningRate, weightDecay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, schedule = "linear", variant = "torch", rates = [], ...warmup }: AdamWOptions) {
  const { warmupSteps, warmupRatio } = warmup;
  return { learningRate, weightDecay, beta1, beta2, epsilon, schedule, variant, rates, ...(warmupSteps === undefined ? {} : { warmupSteps }), ...(warmupRatio === undefined ? {} : { warmupRatio }) };
}

const KEYS: readonly string[] = ["learningRate", "weightDecay", "beta1", "beta2", "epsilon", "schedule", "variant", "rates", "warmupSteps", "warmupRatio"] satisfies readonly (keyof AdamWOptions)[];

function oneOf(name: string, value: string, values: readonly string[]): void {
  if (!values.includes(value)) throw new DeftError("optimizer.options", `adamw: ${name} must be ${values.slice(0, -1).join(", ")} or ${values.at(-1)}, got ${value}. Correct it.`);
}

function check(name: string, value: number, fits: boolean, rule: string): void {
  if (!fits || !Number.isFinite(value)) throw new DeftError("optimizer.options", `adamw: ${name} must be ${rule}, got ${value}. Correct it.`);
}

/** The factor of each variable's learning rate, by its path. */
function factorsOf(rates: readonly LearningRate[], variables: readonly Variable[]): ReadonlyMap<string, number> {
  const patterns = rates.map(({ parameters, factor }, i) => ({ pattern: patternOf(parameters, i), factor }));
  for (const [i, { pattern }] of patterns.entries())
    if (!variables.some(({ path }) => pattern.test(path))) throw new DeftError("optimizer.options", `adamw: rates.${i}.parameters must find a trained variable, got ${pattern.source}. There are ${variables.slice(0, 5).map(({ path }) => path).join(", ")}${variables.length > 5 ? ", …" : ""}.`);
  return new Map(variables.map(({ path }) => [path, patterns.find(({ pattern }) => pattern.test(path))?.factor ?? 1]));
}

function patternOf(source: string, i: number): RegExp {
  try {
    return new RegExp(source);
  } catch (error) {
    throw new DeftError("optimizer.options", `adamw: rates.${i}.parameters must be a regular expression, got ${source}: ${(error as Error).message}. Correct it.`);
  }
}

class AdamW implements Optimizer {
  readonly #settings: Settings;
  readonly #parameters: ReadonlyMap<string, AdamWParameter>;
  readonly #factors: ReadonlyMap<string, number>;
  readonly #totalSteps: number;

  constructor(settings: Settings, variables: readonly Variable[], totalSteps: number) {
    this.#settings = settings;
    this.#totalSteps = totalSteps;
    this.#factors = factorsOf(settings.rates, variables);
    const moment = (kind: string, variable: Variable): Variable => new Variable(`${kind}/${variable.path}`, zeros(variable.shape));
    this.#parameters = new Map(variables.map((value) => [value.path, { value, first: moment("first", value), second: moment("second", value) }]));
  }

  learningRateAt(step: number): number {
    const { learningRate, schedule: kind } = this.#settings;
    const warmupSteps = warmupStepsOf(this.#settings, this.#totalSteps);
    return learningRate * scheduleFactor({ kind, warmupSteps, totalSteps: this.#totalSteps }, step);
  }

  update(gradients: ReadonlyMap<string, Tensor>, step: number): void {
    for (const [path, parameter] of this.#parameters) {
      const gradient = gradients.get(path);
      if (gradient === undefined) throw new DeftError("optimizer.gradient", `adamw: every variable must have a gradient, got none for ${path}. Pass one for each.`);
      this.#updateOne(parameter, gradient, step);
    }
  }

  #updateOne(parameter: AdamWParameter, gradient: Tensor, step: number): void {
    const { beta1, beta2, epsilon, weightDecay, variant } = this.#settings;
    const learningRate = this.learningRateAt(step) * (this.#factors.get(parameter.value.path) ?? 1);
    if (variant === "torch") return adamWStep(parameter, gradient, { learningRate, beta1, beta2, epsilon, weightDecay, step: step + 1 });
    // √v + ε = √(1−β₂ᵗ)·(√v̂ + ε/√(1−β₂ᵗ)): torch's step with another ε is Hugging Face's, without its decay.
    const corrected = epsilon / Math.sqrt(1 - beta2 ** (step + 1));
    adamWStep(parameter, gradient, { learningRate, beta1, beta2, epsilon: corrected, weightDecay: 0, step: step + 1 });
    if (weightDecay > 0) parameter.value.assign(scope(() => scale(parameter.value.value, 1 - learningRate * weightDecay)));
  }

  state(): readonly NamedArray[] {
    return stateOf(this.#moments());
  }

  loadState(state: readonly NamedArray[]): void {
    loadVariables(this.#moments(), state, CHECKPOINT);
  }

  dispose(): void {
    for (const moment of this.#moments()) moment.dispose();
  }

  #moments(): readonly Variable[] {
    return [...this.#parameters.values()].flatMap(({ first, second }) => [first, second]);
  }
}
