import { add, attention, crossEntropy, intTensor, mul, reshape, softmax, tensor, type Tensor } from "@deft-js/tensor";
import * as ref from "./reference.ts";
import type { Values } from "./reference.ts";
import type { OpCase } from "./run.ts";

/** Rows of five logits: e^200 is no float32, and a whole row of e^−200 sums to 0. */
const LOGITS = [200, -200, 199.5, 0, 198, -200, -199.5, -201, -200.25, -198, 0, 200, -200, -1, 200];
const LABELS = [2, 1, 3];
/** More elements than any block that is worked on at a time, and an odd number. */
const MANY = 100_003;

/** What is right on a few small values only: logits of ±200, and long arrays. */
export function extremeCases(): OpCase[] {
  const x = (inputs: Readonly<Record<string, Tensor>>): Tensor => inputs["x"] as Tensor;
  const sizes = { batch: 1, queries: 2, keys: 3, heads: 1, dHead: 2, scale: 1 };
  const long = (name: string, op: (a: Tensor, b: Tensor) => Tensor, f: (a: number, b: number) => number): OpCase => ({
    name: `${name} of ${MANY} elements`, inputs: { a: [MANY], b: [MANY] }, gradient: false,
    op: ({ a, b }) => op(a as Tensor, b as Tensor), reference: ({ a, b }) => (a as Values).map((value, i) => f(value, (b as Values)[i] as number)),
  });
  return [
    { name: "softmax of ±200", inputs: { x: [3, 5] }, values: { x: LOGITS }, op: (i) => softmax(x(i)), reference: (i) => ref.softmax(i["x"] as Values, 5) },
    {
      name: "crossEntropy of ±200", inputs: { x: [3, 5] }, values: { x: LOGITS },
      op: (i) => reshape(crossEntropy(x(i), intTensor(LABELS, [3])), [1]), reference: (i) => ref.crossEntropy(i["x"] as Values, LABELS, -100),
    },
    // scores of about 200, 199, −100 of the first query and −200, −199, 100 of the second, all exact in float32
    ...[undefined, [1, 1, 0]].map((mask): OpCase => ({
      name: `attention with scores of ±200${mask === undefined ? "" : " and padding"}`,
      inputs: { q: [1, 2, 2], k: [1, 3, 2], v: [1, 3, 2] }, values: { q: [200, 0, -200, 0], k: [1, 0.5, 255 / 256, -0.25, -0.5, 1] },
      op: ({ q, k, v }) => attention(q as Tensor, k as Tensor, v as Tensor, { ...sizes, mask: mask && tensor(mask, [1, 3]) }),
      reference: ({ q, k, v }) => ref.attention(q as Values, k as Values, v as Values, undefined, { ...sizes, ...(mask && { mask }) }),
    })),
    long("add", add, (a, b) => a + b),
    long("mul", mul, (a, b) => a * b),
  ];
}
