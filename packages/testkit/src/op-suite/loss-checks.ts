import { crossEntropy, embedding, intTensor, read, scope, tensor, valueAndGradients, Variable, type Tensor } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

const lossOf = (logits: readonly number[], labels: readonly number[]): number =>
  scope(() => read(crossEntropy(tensor(logits, [labels.length, logits.length / labels.length]), intTensor(labels, [labels.length])))[0] as number);

/** Cross entropy and lookup at their edges: a label that is no class, or an id without a row, is refused, or makes what comes of it NaN: it must not pass unseen. */
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
  const withoutRow = [2, -1].map((id): Check => ({
    name: `embedding of the id ${id}, which has no row`,
    run: () => {
      let values: Float32Array;
      try {
        values = scope(() => read(embedding(tensor([1, 2], [2, 1]), intTensor([1, id], [2]))));
      } catch (error) {
        if (!String(error).includes(`embedding: ids must lie in [0, 2), got ${id} at 1.`)) throw error;
        return;
      }
      if (values[0] !== 2 || !Number.isNaN(values[1])) throw new Error(`embedding must refuse the id ${id} of 2 rows or give NaN, got ${String(values)}`);
    },
  }));
  return [
    ...refused,
    ...withoutRow,
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
