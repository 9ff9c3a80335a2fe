import { activation, densityPenalty, gradientsOf, hold, linear, mul, read, release, Rng, scope, tensor, Variable, weightedSum, type ActivationKind, type Summand, type Tensor } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

type Penalty = (a: Tensor, epsilon: number) => Tensor;

/** Where a penalty may stand, in terms of x [2, 3, 5] and w [5, 7]. */
const PLACES: Readonly<Record<string, (x: Tensor, w: Tensor, penalty: Penalty) => readonly Tensor[]>> = {
  ...Object.fromEntries((["relu", "gelu", "gelu_new", "silu", "tanh", "sigmoid"] as const).map((kind: ActivationKind) => [`under ${kind}`, (x: Tensor, _w: Tensor, penalty: Penalty) => [penalty(activation(x, kind), 0.05)]])),
  "under a linear layer's gelu": (x, w, penalty) => [penalty(linear(x, w, { activation: "gelu" }), 0.05)],
  "under gelu, twice": (x, _w, penalty) => {
    const a = activation(x, "gelu");
    return [penalty(a, 0.05), penalty(a, 0.5)];
  },
  "under a product": (x, _w, penalty) => [penalty(mul(activation(x, "gelu"), x), 0.05)],
  "of what is trained": (x, _w, penalty) => [penalty(x, 0.05)],
};

/** A late penalty has the values of one that is computed at once, after the way back, and its gradient. */
export function lateChecks(): Check[] {
  return Object.entries(PLACES).map(([where, place]) => ({
    name: `densityPenalty ${where}, late`,
    run: () => {
      const rng = new Rng(11);
      const x = Variable.from("x", rng.normals(30, 1), [2, 3, 5]), w = Variable.from("w", rng.normals(35, 1), [5, 7]);
      try {
        const [expected, actual] = [false, true].map((late) => valuesAndGradients(x, w, (a, epsilon) => densityPenalty(a, { epsilon, weights: tensor([0.1, 0, 0.3, 0.2, 0.05, 0], [2, 3]), late }), place)) as [Found, Found];
        compare(`${where}: values`, actual.values, expected.values, 1e-6);
        compare(`${where}: sum`, [actual.sum], [expected.sum], 1e-6);
        compare(`${where}: gradients`, actual.gradients, expected.gradients, 1e-6);
      } finally {
        x.dispose();
        w.dispose();
      }
    },
  }));
}

interface Found {
  readonly values: readonly number[];
  readonly sum: number;
  readonly gradients: readonly number[];
}

function valuesAndGradients(x: Variable, w: Variable, penalty: Penalty, place: (x: Tensor, w: Tensor, penalty: Penalty) => readonly Tensor[]): Found {
  return scope(() => {
    let summands: readonly Summand[] = [];
    const gradients = gradientsOf(() => {
      const penalties = scope(() => place(x.value, w.value, penalty).map((p) => (hold(p), p))); // the activation is freed but for what is held
      return (summands = penalties.map((values, i) => ({ values, weight: i + 0.5 })));
    }, [x, w]);
    const found = { values: summands.flatMap(({ values }) => [...read(values)]), sum: read(weightedSum(summands))[0] as number, gradients: [...gradients.values()].flatMap((gradient) => [...read(gradient)]) };
    for (const { values } of summands) release(values);
    return found;
  });
}
