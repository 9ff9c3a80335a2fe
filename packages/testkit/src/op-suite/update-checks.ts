import { adamWStep, read, reshape, scope, tensor, Variable } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

const STEP = { learningRate: 0.1, beta1: 0.8, beta2: 0.9, epsilon: 1e-8, weightDecay: 0, step: 1 };

/** An update changes a variable, not what else shows its values. */
export function updateChecks(): Check[] {
  return [{
    name: "adamW beside other handles on the values",
    run: () => {
      const value = Variable.from("p", new Float32Array([1, 2]), [2]);
      const zeros = tensor([0, 0], [2]);
      const [first, second] = [new Variable("m", zeros.clone()), new Variable("v", zeros.clone())];
      const seen = [value.value.clone(), reshape(value.value, [2, 1])];
      try {
        scope(() => adamWStep({ value, first, second }, tensor([1, -1], [2]), STEP));
        for (const handle of seen) compare("what was there", read(handle), [1, 2], 0);
        compare("zeros", read(zeros), [0, 0], 0);
        compare("m", read(first.value), [0.2, -0.2], 1e-6);
        compare("v", read(second.value), [0.1, 0.1], 1e-6);
        compare("p", read(value.value), [0.9, 2.1], 1e-6);
      } finally {
        for (const tensor of [...seen, zeros, value, first, second]) tensor.dispose();
      }
    },
  }];
}
