import { DeftError, type Execution, type ExecutionContext, type MlpBlock, type Model, type ops } from "@deft-js/core";
import { calibrate, Magnitudes } from "./calibration.ts";
import { checked, gateThresholdSchema, thresholdSchema, topKSchema, type GateThresholdOptions, type ThresholdOptions, type TopKOptions } from "./options.ts";
import { chosenBlocks, installSkipping } from "./skipping.ts";

/**
 * Neurons with |h| at most a layer's threshold are taken for 0; the threshold is the magnitude above which the given share of the layer's neurons lies on calibration
 * data (TEAL, Liu et al., 2024, arXiv:2408.14690, section 4). Not exact.
 */
export function thresholdExecution(options: ThresholdOptions = {}): Execution {
  const chosen = checked("threshold", thresholdSchema, options);
  return {
    id: "threshold",
    options: chosen,
    exact: false,
    install: (model, context) => {
      const blocks = chosenBlocks(model, chosen.layers);
      const thresholds = layerThresholds("threshold", { ...chosen, model, blocks, context, watch: ({ down }, add) => down.wrap((x, base) => base(seen(x, add)), "pre") });
      const of = (block: MlpBlock): { threshold: number } => ({ threshold: thresholds.get(block.down.path) ?? 0 });
      return Promise.resolve(installSkipping(model, chosen, { of, describe: of }));
    },
  };
}

/**
 * On gated MLPs f(x·W₀)⊙(x·W₁): neurons with |f(x·W₀)| at most a layer's threshold are taken for 0, so that neither their outputs of W₁ nor their rows of the
 * down-projection are computed (CATS, Lee et al., 2024, arXiv:2404.08763, section 4). Thresholds are calibrated as those of `threshold`. Not exact.
 * @throws DeftError on installation, `execution.sites` when no block is gated
 */
export function gateThresholdExecution(options: GateThresholdOptions = {}): Execution {
  const chosen = checked("gate-threshold", gateThresholdSchema, options);
  return {
    id: "gate-threshold",
    options: chosen,
    exact: false,
    install: (model, context) => {
      const blocks = chosenBlocks(model, chosen.layers).filter(({ gate }) => gate !== undefined);
      if (blocks.length === 0) throw new DeftError("execution.sites", "gate-threshold: the MLP blocks must be gated, f(x·W₀)⊙(x·W₁), got none that is. Use threshold.");
      const thresholds = layerThresholds("gate-threshold", { ...chosen, model, blocks, context, watch: ({ activation }, add) => activation.wrap((x, base) => seen(base(x), add), "post") });
      const gateThreshold = (block: MlpBlock): number => thresholds.get(block.down.path) ?? 0;
      return Promise.resolve(installSkipping(model, chosen, { of: () => ({}), gateThreshold, describe: (block) => ({ threshold: gateThreshold(block) }) }));
    },
  };
}

/** Of each token's neurons the share with the largest magnitudes counts, the others are taken for 0. Needs no calibration. Not exact. */
export function topKExecution(options: TopKOptions = {}): Execution {
  const chosen = checked("top-k", topKSchema, options);
  const of = ({ down }: MlpBlock): { keep: number } => ({ keep: Math.max(1, Math.round(chosen.density * down.dIn)) });
  return { id: "top-k", options: chosen, exact: false, install: (model) => Promise.resolve(installSkipping(model, chosen, { of, describe: of })) };
}

function seen(x: ops.Tensor, add: (values: ops.Tensor) => void): ops.Tensor {
  add(x);
  return x;
}

interface Thresholds {
  readonly model: Model;
  readonly blocks: readonly MlpBlock[];
  readonly density: number;
  readonly batches: number;
  readonly context: ExecutionContext;
  /** Hands on what flows at a block in evaluation. @returns the undo */
  watch(block: MlpBlock, add: (values: ops.Tensor) => void): () => void;
}

/** By path of the down-projection: the (1 − density) quantile of the magnitudes that flow there. Throws `execution.calibration`. */
function layerThresholds(who: string, { model, blocks, density, batches, context, watch }: Thresholds): ReadonlyMap<string, number> {
  const gathered = new Map(blocks.map((block) => [block, new Magnitudes(batches)]));
  calibrate({ who, model, batches, context, hooks: () => [...gathered].map(([block, magnitudes]) => watch(block, (values) => magnitudes.add(values))) });
  return new Map([...gathered].map(([{ down }, magnitudes]) => [down.path, magnitudes.quantile(1 - density)]));
}
