import { batchTensors, DeftError, ops, type ExecutionContext, type Model } from "@deft-js/core";

/** A pass over calibration batches. */
export interface CalibrationPass {
  /** Who speaks in errors. */
  readonly who: string;
  readonly model: Model;
  readonly batches: number;
  readonly context: ExecutionContext;
  /** Puts the hooks on that look at what flows; told of the batch that comes before each. */
  hooks(): readonly (() => void)[];
  onBatch?(batch: number): void;
}

/** Runs the model over the first batches with hooks on. @returns how many there were. Throws `execution.calibration` when there are none. */
export function calibrate({ who, model, batches, context, hooks, onBatch }: CalibrationPass): number {
  if (context.calibration === undefined) throw new DeftError("execution.calibration", `${who}: needs calibration batches, got none. Run it where there is data to calibrate on (evaluate, deft bench --task), or use top-k.`);
  const undos = hooks();
  let passes = 0;
  try {
    for (const host of context.calibration()) {
      if (passes === batches) break;
      onBatch?.(passes);
      passes++;
      ops.scope(() => void model.forward(batchTensors(host)));
    }
  } finally {
    for (const off of undos) off();
  }
  if (passes === 0) throw new DeftError("execution.calibration", `${who}: needs calibration batches, got an empty pass. Give data.`);
  return passes;
}

/** Magnitudes of a layer that are kept for its quantile, at most. */
const SAMPLES = 1 << 18;

/** |values| of one layer, of each batch as many as its share of the room, drawn at random. */
export class Magnitudes {
  readonly #parts: Float32Array[] = [];
  readonly #most: number;
  readonly #rng = new ops.Rng(0);
  #count = 0;

  constructor(batches: number) {
    this.#most = Math.ceil(SAMPLES / batches);
  }

  add(x: ops.Tensor): void {
    const values = ops.read(x);
    const size = Math.min(values.length, this.#most);
    this.#parts.push(size === values.length ? values : Float32Array.from({ length: size }, () => values[this.#rng.integer(values.length)] as number));
    this.#count += size;
  }

  /** The magnitude below or at which the share q lies. */
  quantile(q: number): number {
    const all = new Float32Array(this.#count);
    let at = 0;
    for (const part of this.#parts) for (const value of part) all[at++] = Math.abs(value);
    const value = quantileOf(all.sort(), q);
    const above = all.find((next) => next > value);
    // halfway to the next one: by another kernel the value itself may come out on the other side
    return value === 0 || above === undefined ? value : value + (above - value) / 2;
  }
}

/** The value of a sorted array below or at which the share q lies; 0 for none. */
export function quantileOf(sorted: Float32Array, q: number): number {
  const at = Math.floor(q * sorted.length) - 1;
  return at < 0 ? 0 : (sorted[Math.min(at, sorted.length - 1)] ?? 0);
}
