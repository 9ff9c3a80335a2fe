import { batchTensors, DeftError, ops, type Execution, type ExecutionContext, type MlpBlock, type Model } from "@deft-js/core";
import { checked, thresholdSchema, topKSchema, type ThresholdOptions, type TopKOptions } from "./options.ts";
import { chosenBlocks, installSkipping } from "./skipping.ts";

/** Magnitudes of a layer that are kept for its quantile, at most. */
const SAMPLES = 1 << 18;

/**
 * Neurons with |h| at most a layer's threshold are taken for 0; the threshold is the magnitude above which the given share of the layer's neurons lies on calibration
 * data (TEAL, Liu et al., 2024, arXiv:2408.14690, section 4; CATS, Lee et al., 2024, arXiv:2404.08763, thresholds the gate alone). Not exact.
 */
export function thresholdExecution(options: ThresholdOptions = {}): Execution {
  const chosen = checked("threshold", thresholdSchema, options);
  return {
    id: "threshold",
    options: chosen,
    exact: false,
    install: (model, context) => {
      const thresholds = calibrate(model, chosenBlocks(model, chosen.layers), { ...chosen, context });
      const of = (block: MlpBlock): { threshold: number } => ({ threshold: thresholds.get(block.down.path) ?? 0 });
      return Promise.resolve(installSkipping(model, chosen, { of, describe: of }));
    },
  };
}

/** Of each token's neurons the share with the largest magnitudes counts, the others are taken for 0. Needs no calibration. Not exact. */
export function topKExecution(options: TopKOptions = {}): Execution {
  const chosen = checked("top-k", topKSchema, options);
  const of = ({ down }: MlpBlock): { keep: number } => ({ keep: Math.max(1, Math.round(chosen.density * down.dIn)) });
  return { id: "top-k", options: chosen, exact: false, install: (model) => Promise.resolve(installSkipping(model, chosen, { of, describe: of })) };
}

interface Calibration {
  readonly density: number;
  readonly batches: number;
  readonly context: ExecutionContext;
}

/** By path of the down-projection: the (1 − density) quantile of |h|. Throws `execution.calibration`. */
function calibrate(model: Model, blocks: readonly MlpBlock[], { density, batches, context }: Calibration): ReadonlyMap<string, number> {
  if (context.calibration === undefined) throw new DeftError("execution.calibration", "threshold: needs calibration batches, got none. Give a task or texts to calibrate on, or use top-k.");
  const seen = new Map(blocks.map(({ down }) => [down.path, { values: [] as Float32Array[], count: 0 }]));
  const undo = blocks.map(({ down }) =>
    down.wrap((x, base) => {
      const sample = seen.get(down.path);
      if (sample !== undefined && sample.count < SAMPLES) {
        const values = ops.read(x);
        sample.values.push(values);
        sample.count += values.length;
      }
      return base(x);
    }, "pre"),
  );
  try {
    let passes = 0;
    for (const host of context.calibration()) {
      if (passes++ === batches) break;
      ops.scope(() => model.forward(batchTensors(host)));
    }
    if (passes === 0) throw new DeftError("execution.calibration", "threshold: needs calibration batches, got an empty pass. Give data.");
  } finally {
    for (const off of undo) off();
  }
  return new Map([...seen].map(([path, { values }]) => [path, quantile(values, 1 - density)]));
}

/** The magnitude below or at which the share q of all values lies. */
function quantile(parts: readonly Float32Array[], q: number): number {
  const magnitudes = Float32Array.from(parts.flatMap((part) => [...part]), Math.abs).sort();
  const at = Math.floor(q * magnitudes.length) - 1;
  return at < 0 ? 0 : (magnitudes[at] ?? 0);
}
