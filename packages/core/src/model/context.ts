import { DeftError, dropout, type Rng, type Tensor } from "@deft-js/tensor";
import type { ForwardContext } from "../contracts/site.ts";

/** Evaluation mode: nothing is random; asking for a seed is an error. */
export const evaluationContext: ForwardContext = Object.freeze({
  training: false,
  nextSeed(): number {
    throw new DeftError("model.seed", "evaluation context: nothing may be random, got a request for a seed. Ask only while `context.training`.");
  },
});

/** Training mode: dropout is on, and its seeds are drawn from `rng` in the order of the ops. */
export function trainingContext(rng: Rng): ForwardContext {
  return { training: true, nextSeed: () => rng.bits() };
}

/** Dropout of x with this probability while training; x itself, and no seed drawn, in evaluation or at probability 0. */
export function contextDropout(x: Tensor, probability: number, context: ForwardContext): Tensor {
  if (!context.training || probability === 0) return x;
  return dropout(x, { probability, seed: context.nextSeed() });
}
