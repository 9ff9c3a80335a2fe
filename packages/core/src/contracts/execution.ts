import type { Rng } from "@deft-js/tensor";
import type { HostBatch } from "./batch.ts";
import type { Model } from "./model.ts";

/** A way of running a trained model's layers otherwise than densely, configured: skipping inactive neurons, or whole blocks. */
export interface Execution {
  /** The id: `sparse`, `threshold`, … */
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether outputs are the dense ones up to rounding. What is not exact is opt-in, and its cost in quality is to be reported. */
  readonly exact: boolean;
  /**
   * Puts hooks on the model's sites; measures or calibrates first where it must. Adapters are attached before.
   * @throws DeftError `execution.calibration` when it needs calibration batches and there are none, `execution.sites` when the model lacks what it works on
   */
  install(model: Model, context: ExecutionContext): Promise<InstalledExecution>;
}

/** What an execution may use while it is installed. */
export interface ExecutionContext {
  /** Batches of the kind that the model will see; a new pass at each call. */
  readonly calibration?: (() => Iterable<HostBatch>) | undefined;
  readonly rng: Rng;
}

/** An execution that is in force on a model. */
export interface InstalledExecution {
  /** What was measured and decided, as plain JSON. */
  report(): Readonly<Record<string, unknown>>;
  /** Takes the hooks off: the model runs as before. */
  uninstall(): void;
}
