import { read, Rng, scope, squaredNorms, sums, tensor, type Tensor } from "@deft-js/tensor";
import { compare, type Check } from "./run.ts";

const SHAPES: readonly (readonly number[])[] = [[], [3], [2, 0, 4], [2, 3, 5], [67], [1], [4, 4], [2], [5], [9], [300, 7]]; // more than ten: as names they must stay in order

/** The sums over each of several tensors. */
export function sumChecks(): Check[] {
  const check = (name: string, op: (tensors: readonly Tensor[]) => Tensor, term: (x: number) => number): Check => ({
    name: `${name} of tensors of many shapes`,
    run: () => {
      const rng = new Rng(3);
      const values = SHAPES.map((shape) => rng.normals(shape.reduce((n, d) => n * d, 1), 1));
      const found = scope(() => read(op(values.map((x, i) => tensor(x, SHAPES[i] as number[])))));
      compare(name, found, values.map((x) => x.reduce((total, v) => total + term(v), 0)), 1e-6);
    },
  });
  return [check("sums", sums, (x) => x), check("squaredNorms", squaredNorms, (x) => x * x)];
}
