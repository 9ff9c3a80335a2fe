import { keeps, randomBits, tf } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, run, start } from "./native.ts";

describeNative("cross entropy", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([[1, 2], [5, 7], [9, 1003]] as const)("loss and gradient of %i × %i with ignored rows", (rows, n) => {
    const logits = numbers(rows * n, 1, 4);
    const labels = Int32Array.from({ length: rows }, (_, r) => (r % 4 === 3 ? -100 : (r * 5) % n));
    const counted = labels.filter((l) => l !== -100).length;
    const lse = Float64Array.from({ length: rows }, (_, r) => Math.log(logits.subarray(r * n, r * n + n).reduce((s, v) => s + Math.exp(v), 0)));
    const loss = labels.reduce((s, l, r) => (l === -100 ? s : s + (lse[r] as number) - (logits[r * n + l] as number)), 0) / counted;
    const given = { logits: [logits, [rows, n]], labels: [labels, [rows]] } as const;
    const [value, logSumExp] = run("DeftCrossEntropy", given, { ignoreIndex: -100 }) as [F, F];
    expect(error(value, [loss])).toBeLessThan(2e-6);
    expect(error(logSumExp, lse)).toBeLessThan(2e-6);
    const expected = Float64Array.from(logits, (v, i) => {
      const r = Math.floor(i / n);
      if (labels[r] === -100) return 0;
      return (2.5 / counted) * (Math.exp(v - (lse[r] as number)) - (labels[r] === i % n ? 1 : 0));
    });
    const [dx] = run("DeftCrossEntropyGradient", { ...given, logSumExp: [logSumExp, [rows]], dy: [Float32Array.of(2.5), []] }, { ignoreIndex: -100 });
    expect(error(dx as F, expected)).toBeLessThan(2e-6);
  });

  test("no counted row gives NaN", () => {
    const [loss] = run("DeftCrossEntropy", { logits: [numbers(6), [2, 3]], labels: [Int32Array.of(-1, -1), [2]] }, { ignoreIndex: -1 });
    expect((loss as F)[0]).toBeNaN();
  });
});

describeNative("embedding", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([[5, 1], [7, 33], [50, 768]] as const)("gather and scatter-add on a table of %i × %i", (size, n) => {
    const ids = Int32Array.from({ length: 2 * size + 1 }, (_, i) => (i * 3) % size);
    const table = numbers(size * n);
    const [rows] = run("DeftGather", { table: [table, [size, n]], ids: [ids, [ids.length]] }, {});
    expect(rows).toEqual(Float32Array.from({ length: ids.length * n }, (_, i) => table[(ids[Math.floor(i / n)] as number) * n + (i % n)] as number));
    const dy = numbers(ids.length * n, 2);
    const expected = new Float64Array(size * n);
    dy.forEach((v, i) => {
      const at = (ids[Math.floor(i / n)] as number) * n + (i % n);
      expected[at] = (expected[at] as number) + v;
    });
    const [out] = run("DeftScatterAdd", { ids: [ids, [ids.length]], dy: [dy, [ids.length, n]] }, { size });
    expect(error(out as F, expected)).toBeLessThan(1e-6);
  });
});

describeNative("dropout", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([[1, 0.1], [17, 0.5], [100_003, 0.3], [33, 0], [0, 0.5]] as const)("%i elements at %f are kept by the counter's bits", (n, probability) => {
    for (const seed of [0, 7, -5, 2_147_483_647, 0x9e3779b9 | 0]) {
      const x = new Float32Array(n).fill(1);
      const [y] = run("DeftDropout", { x: [x, [n]] }, { probability, seed });
      const factor = Math.fround(1 / (1 - probability));
      expect(y).toEqual(Float32Array.from({ length: n }, (_, i) => (keeps(seed, i, probability) ? factor : 0)));
    }
  });

  test("the threshold is exact: an element goes when its bits fall below p by one", () => {
    const fraction = (randomBits(3, 0) >>> 8) * 2 ** -24;
    const kept = (probability: number): boolean => (run("DeftDropout", { x: [Float32Array.of(1), [1]] }, { probability, seed: 3 })[0] as F)[0] !== 0;
    expect([kept(fraction), kept(fraction + 2 ** -25)]).toEqual([true, false]);
  });
});

// PyTorch 1.13 AdamW on four values with fixed gradients: lr 0.01, weight decay 0.01, betas 0.9 and 0.999, eps 1e-8
const GRADIENTS = [
  [0.29175758361816406, -0.4320642650127411, -1.6055524349212646, 1.698438286781311],
  [-0.34989213943481445, 0.01243214774876833, 0.7068477272987366, 0.7098217606544495],
  [1.7183541059494019, 0.14088168740272522, -0.2123372107744217, 1.2030283212661743],
  [-0.21930918097496033, -1.5901329517364502, 0.3674554228782654, -1.8693112134933472],
  [-0.560074508190155, -1.2762227058410645, -2.8313722610473633, 0.05300244688987732],
];
const AFTER = [
  [0.9898999929428101, -1.989799976348877, 0.5099499821662903, -0.010000000707805157],
  [0.991227388381958, -1.9831173419952393, 0.5130314230918884, -0.019051577895879745],
  [0.9852355718612671, -1.9801356792449951, 0.5161522626876831, -0.028402725234627724],
  [0.9810583591461182, -1.9737237691879272, 0.5174597501754761, -0.030468156561255455],
  [0.9792996644973755, -1.9660353660583496, 0.5226269960403442, -0.03231325000524521],
];

describeNative("AdamW", (isa) => {
  beforeAll(() => start({ isa }));

  test("five steps are PyTorch's, and the caller's arrays stay as they were", () => {
    const initial = Float32Array.of(1, -2, 0.5, 0);
    const [value, m, v] = [tf.tensor1d(initial), tf.zeros([4]), tf.zeros([4])];
    GRADIENTS.forEach((gradient, i) => {
      const attrs = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, step: i + 1 };
      const g = tf.tensor1d(Float32Array.from(gradient));
      tf.engine().runKernel("DeftAdamW", { value, m, v, gradient: g }, attrs);
      expect(error(value.dataSync(), AFTER[i] as number[])).toBeLessThan(1e-7);
      g.dispose();
    });
    expect([...initial]).toEqual([1, -2, 0.5, 0]);
    for (const tensor of [value, m, v]) tensor.dispose();
  });

  test("Σx and Σx² of each of several tensors", () => {
    const tensors = [0, 1, 17, 200_001, 2, 3, 4, 5, 6, 7, 8].map((n) => numbers(n));
    const given = Object.fromEntries(tensors.map((x, i) => [i, [x, [x.length]] as [F, number[]]]));
    expect(error(run("DeftSums", given, {})[0] as F, tensors.map((x) => x.reduce((s, v) => s + v, 0)))).toBeLessThan(1e-6);
    expect(error(run("DeftSquaredNorms", given, {})[0] as F, tensors.map((x) => x.reduce((s, v) => s + v * v, 0)))).toBeLessThan(1e-6);
  });
});

type F = Float32Array;
