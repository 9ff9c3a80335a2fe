import { ops, type ExecutionContext, type MlpBlock, type Model } from "@deft-js/core";
import { calibrate, Magnitudes } from "./calibration.ts";
import type { PredictorSettings } from "./options.ts";
import type { Observations } from "./predictor.ts";

/** Of each four batches one is held back. */
const HELD_BACK = 4;

/** What was seen of one block: to train on, and to judge by. */
export interface Seen {
  readonly training: Observations;
  readonly held: Observations;
  /** |value| above which a neuron counts as active. */
  readonly threshold: number;
}

/** A list of tokens that grows up to a number. */
class Growing {
  readonly #limit: number;
  readonly #inputs: Float32Array[] = [];
  readonly #values: Float32Array[] = [];
  #tokens = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(x: ops.Tensor, value: ops.Tensor): void {
    const [dModel = 0, dFf = 0] = [x.shape.at(-1), value.shape.at(-1)];
    const room = Math.min(this.#limit - this.#tokens, dModel === 0 ? 0 : x.size / dModel);
    if (room <= 0) return;
    this.#inputs.push(ops.read(x).subarray(0, room * dModel));
    this.#values.push(ops.read(value).subarray(0, room * dFf));
    this.#tokens += room;
  }

  observations({ dModel, dFf, threshold }: { readonly dModel: number; readonly dFf: number; readonly threshold: number }): Observations {
    const inputs = new Float32Array(this.#tokens * dModel);
    const active = new Uint8Array(this.#tokens * dFf);
    let [x, at] = [0, 0];
    for (const part of this.#inputs) {
      inputs.set(part, x);
      x += part.length;
    }
    for (const part of this.#values) for (const value of part) active[at++] = Number(Math.abs(value) > threshold);
    return { tokens: this.#tokens, dModel, dFf, inputs, active };
  }
}

/**
 * Runs the model over calibration batches and notes at each block what came in and which neurons became active: of a gated block the gate's. Active is what is not 0 and
 * belongs to the layer's largest magnitudes, as many as `density` says.
 */
export function observe(model: Model, blocks: readonly MlpBlock[], { density, batches, tokens }: PredictorSettings, context: ExecutionContext): ReadonlyMap<MlpBlock, Seen> {
  const gathered = new Map(blocks.map((block) => [block, { magnitudes: new Magnitudes(batches), training: new Growing(tokens), held: new Growing(tokens) }]));
  let batch = 0;
  const hooks = (): (() => void)[] =>
    [...gathered].flatMap(([{ mlp, activation }, to]) => {
      let input: ops.Tensor | undefined;
      const undoInput = mlp.wrap((x, base) => base((input = x)), "pre");
      const undoOutput = activation.wrap((x, base) => {
        const value = base(x);
        to.magnitudes.add(value);
        if (input !== undefined) (batch % HELD_BACK === 1 ? to.held : to.training).add(input, value);
        return value;
      }, "post");
      return [undoInput, undoOutput];
    });
  const passes = calibrate({ who: "predictor", model, batches, context, hooks, onBatch: (at) => (batch = at) });
  return new Map(
    [...gathered].map(([block, { magnitudes, training, held }]) => {
      const sizes = { dModel: block.mlp.dIn, dFf: block.activation.dOut, threshold: magnitudes.quantile(1 - density) };
      const seen = training.observations(sizes);
      return [block, { training: seen, held: passes > 1 ? held.observations(sizes) : seen, threshold: sizes.threshold }];
    }),
  );
}
