import { crossEntropy, intTensor, read, scope, tensor, valueAndGradients, Variable, type Tensor } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

const lossOf = (logits: readonly number[], labels: readonly number[]): number =>
  scope(() => read(crossEntropy(tensor(logits, [labels.length, logits.length / labels.length]), intTensor(labels, [labels.length])))[0] as number);

/** Cross entropy at its edges: a label that is no class is refused, or makes the loss NaN, since it must not count as a row without a loss. */
export function lossChecks(): Check[] {
  const refused = [5, -1, 2 ** 20].map((label): Check => ({
    name: `crossEntropy of the label ${label}, which is no class`,
    run: () => {
      let loss: number;
      try {
        loss = lossOf(Array<number>(15).fill(0), [1, -100, label]);
      } catch (error) {
        if (!String(error).includes("labels must lie in [0, 5)")) throw error;
        return;
      }
      if (!Number.isNaN(loss)) throw new Error(`crossEntropy must refuse the label ${label} of 5 classes or give NaN, got ${loss}`);
    },
  }));
  return [
    ...refused,
    { name: "crossEntropy beside a logit of −∞", run: () => compare("loss", [lossOf([1, 2, -Infinity], [1])], [Math.log(1 + Math.exp(-1))], 1e-6) },
    {
      name: "crossEntropy without a row that counts has the gradient 0",
      run: () => {
        const x = Variable.from("x", Float32Array.of(1, 2, 3, 4), [2, 2]);
        const gradient = scope(() => read(valueAndGradients(() => crossEntropy(x.value, intTensor([-100, -100], [2])), [x]).gradients.get("x") as Tensor));
        x.dispose();
        compare("gradient", gradient, [0, 0, 0, 0], 0);
      },
    },
    { name: "crossEntropy of one class", run: () => compare("loss", [1 + lossOf([0.5, -3], [0, 0])], [1], 1e-6) },
  ];
}
