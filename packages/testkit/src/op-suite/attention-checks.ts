import { attention, gradientsOf, read, Rng, scope, tensor, Variable, type Tensor } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

/** Three queries of two keys, in order: the first query sees no key. */
const SIZES = { queries: 3, keys: 2, width: 2 };

/** A row without any key passes half of its gradient wherever padding is given, whether that masks a key or not; float64 has no such ties, so that the suite's references do not tell. */
export function attentionChecks(): Check[] {
  return [{
    name: "attention, causal, a query that sees no key: half of the gradient where a mask is given",
    run: () => {
      const [plain, masked] = [undefined, [1, 1]].map(queryGradient) as [Float32Array, Float32Array];
      compare("gradient", masked, plain.map((g, i) => (i < SIZES.width ? g / 2 : g)), 1e-5);
    },
  }];
}

function queryGradient(mask: readonly number[] | undefined): Float32Array {
  const rng = new Rng(5);
  const { queries, keys, width } = SIZES;
  const q = Variable.from("q", rng.normals(queries * width, 1), [1, queries, width]);
  const [k, v] = [rng.normals(keys * width, 1), rng.normals(keys * width, 1)];
  try {
    return scope(() => {
      const [kt, vt] = [tensor(k, [1, keys, width]), tensor(v, [1, keys, width])];
      const given = mask === undefined ? undefined : tensor(mask, [1, keys]);
      const gradients = gradientsOf(() => [{ values: attention(q.value, kt, vt, { heads: 1, scale: 1, causal: true, mask: given }), weight: 1 }], [q]);
      return read(gradients.get("q") as Tensor);
    });
  } finally {
    q.dispose();
  }
}
