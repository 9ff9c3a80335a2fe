import { crossEntropy, intTensor, read, scope, tensor } from "@deft-js/tensor";
import type { Check } from "./run.ts";

/** A label that is no class is refused, or makes the loss NaN: it must not count as a row without a loss. */
export function labelChecks(): Check[] {
  return [5, -1, 2 ** 20].map((label) => ({
    name: `crossEntropy of the label ${label}, which is no class`,
    run: () => {
      let loss: number | undefined;
      try {
        [loss] = scope(() => read(crossEntropy(tensor(new Float32Array(15), [3, 5]), intTensor([1, -100, label], [3]))));
      } catch (error) {
        if (!String(error).includes("labels must lie in [0, 5)")) throw error;
        return;
      }
      if (!Number.isNaN(loss)) throw new Error(`crossEntropy must refuse the label ${label} of 5 classes or give NaN, got ${loss}`);
    },
  }));
}
