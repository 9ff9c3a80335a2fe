import type { ZodType } from "zod";
import type { AdapterConfigReader, LossTerm, PeftMethod } from "../contracts/method.ts";
import type { Meter } from "../contracts/meter.ts";
import type { ModelFamily } from "../contracts/model.ts";
import type { Stage } from "../contracts/stage.ts";
import type { Task } from "../contracts/task.ts";
import type { Execution } from "../contracts/execution.ts";
import type { Backend } from "../contracts/backend.ts";
import type { WeightFormat, WeightLayout } from "../contracts/weight.ts";
import type { Reporter } from "../contracts/reporter.ts";

/** A typed extension point: plugins add contributions to it under string ids. */
export interface ExtensionPoint<T> {
  readonly name: string;
  readonly token: symbol;
  /** Whether what is made carries the `options` that make it again: recipes and checkpoints hold them. */
  readonly recorded?: boolean | undefined;
  /** Never set: carries the type. */
  readonly type?: T;
}

/** What a plugin adds: how to make a T from options. */
export interface Contribution<T> {
  /** The name in recipes: `lora`, `density`, `glue`, … Unique within its extension point. */
  readonly id: string;
  /** One line for `deft plugins`. */
  readonly summary: string;
  /** The schema of the options; strict objects, so that an unknown option is refused. Left out where there are none. */
  readonly options?: ZodType | undefined;
  /** Makes one from validated options. */
  create(options: never): T;
}

/** Declares an extension point; the same name gives the same token in every copy of core. */
export function extensionPoint<T>(name: string, { recorded }: Pick<ExtensionPoint<T>, "recorded"> = {}): ExtensionPoint<T> {
  return { name, token: Symbol.for(`deft-js/${name}`), recorded };
}

/** Families of models, by the `model_type`s that they build. */
export const MODEL_FAMILY: ExtensionPoint<ModelFamily> = extensionPoint("model-family");
/** PEFT methods. */
export const PEFT_METHOD: ExtensionPoint<PeftMethod> = extensionPoint("peft-method", { recorded: true });
/** Readers of other libraries' adapter configurations. */
export const ADAPTER_READER: ExtensionPoint<AdapterConfigReader> = extensionPoint("adapter-reader");
/** Terms of the training objective. */
export const LOSS_TERM: ExtensionPoint<LossTerm> = extensionPoint("loss-term");
/** What evaluation measures besides the task's metrics. */
export const METER: ExtensionPoint<Meter> = extensionPoint("meter");
/** Formats of linear layers' weights. */
export const WEIGHT_FORMAT: ExtensionPoint<WeightFormat> = extensionPoint("weight-format", { recorded: true });
/** Ways of running a model's layers otherwise than densely. */
export const EXECUTION: ExtensionPoint<Execution> = extensionPoint("execution", { recorded: true });
/** Layouts of weights that are not dense in model folders. */
export const WEIGHT_LAYOUT: ExtensionPoint<WeightLayout> = extensionPoint("weight-layout");
/** Tasks. */
export const TASK: ExtensionPoint<Task> = extensionPoint("task", { recorded: true });
/** Stages of a pipeline. */
export const STAGE: ExtensionPoint<Stage> = extensionPoint("stage", { recorded: true });
/** Back-ends. */
export const BACKEND: ExtensionPoint<Backend> = extensionPoint("backend");
/** Subscribers of a run's events. */
export const REPORTER: ExtensionPoint<Reporter> = extensionPoint("reporter");
