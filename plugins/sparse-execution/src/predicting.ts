import { ops, type Execution, type InstalledExecution, type MlpBlock } from "@deft-js/core";
import { observe } from "./observe.ts";
import { checked, predictorSchema, type PredictorOptions } from "./options.ts";
import { Predictor, type PredictorQuality } from "./predictor.ts";
import type { Selection } from "./selecting.ts";
import { chosenBlocks, installSkipping } from "./skipping.ts";

interface Trained {
  readonly predictor: Predictor;
  readonly about: PredictorQuality & { readonly threshold: number };
}

/**
 * Before each MLP block a small predictor, trained at installation on calibration data, tells which neurons will be active; of the projections into the block those
 * neurons' outputs alone are computed, and of the down-projection their rows; all others are taken for 0 (Deja Vu, Liu et al., 2023, arXiv:2310.17157). Not exact.
 * @throws DeftError on installation, `execution.calibration` without calibration batches, `execution.sites` when no block matches
 */
export function predictorExecution(options: PredictorOptions = {}): Execution {
  const chosen = checked("predictor", predictorSchema, options);
  const install: Execution["install"] = (model, context) => {
    const seen = [...observe(model, chosenBlocks(model, chosen.layers), chosen, context)].filter(([, { training }]) => training.tokens > 0); // the others are passed over
    const trained = new Map<string, Trained>();
    for (const [{ mlp, down }, { training, held, threshold }] of seen) {
      const settings = { ...chosen, path: mlp.path, rng: context.rng.fork(mlp.path) };
      const predictor = new Predictor(settings, training);
      predictor.train(settings, training);
      trained.set(down.path, { predictor, about: { ...predictor.calibrate(chosen.recall, held), threshold } });
    }
    const predictions = predicting(seen.map(([block]) => block), (block) => (trained.get(block.down.path) as Trained).predictor);
    const skipping = installSkipping(model, chosen, { of: () => ({}), projections: predictions.projections, describe: ({ down }) => ({ predictor: trained.get(down.path)?.about }) });
    const uninstall = (): void => {
      skipping.uninstall();
      predictions.undo();
      for (const { predictor } of trained.values()) predictor.dispose();
    };
    return Promise.resolve({ report: () => skipping.report(), uninstall } satisfies InstalledExecution);
  };
  return { id: "predictor", options: chosen, exact: false, install };
}

/** Puts the predictors in front of the blocks, and zeros in the place of what they leave out. */
function predicting(blocks: readonly MlpBlock[], predictorOf: (block: MlpBlock) => Predictor) {
  const undos: (() => void)[] = [];
  const projections = blocks.flatMap((block) => {
    let mask: ops.Tensor | undefined;
    const undoInput = block.mlp.wrap((x, base, { training }) => {
      mask = training ? undefined : predictorOf(block).predict(x);
      const y = base(x);
      mask = undefined;
      return y;
    }, "pre");
    // what is attached to the projection adds to what was left out: the activation is 0 there all the same
    const undoOutput = block.activation.wrap((x, base) => (mask === undefined ? base(x) : ops.mul(base(x), mask)), "post");
    undos.push(undoInput, undoOutput);
    const selection: Selection = () => (mask === undefined ? undefined : { select: mask });
    return [block.up, block.gate].flatMap((site) => (site === undefined ? [] : [{ site, selection }]));
  });
  return { projections, undo: () => undos.forEach((off) => off()) };
}
