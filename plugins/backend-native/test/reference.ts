/** Float64 references: the equations written out, without regard to speed. */
import type { ActivationKind } from "@deft-js/tensor";

type Values = ArrayLike<number>;

/** erf by its Taylor series near 0 and its continued fraction beyond. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 2.5) {
    let [term, sum] = [z, z];
    for (let n = 1; n < 80; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
const inner = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

export const VALUE: Readonly<Record<ActivationKind | "identity", (x: number) => number>> = {
  identity: (x) => x,
  relu: (x) => Math.max(x, 0),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(inner(x))),
  silu: (x) => x * logistic(x),
  tanh: Math.tanh,
  sigmoid: logistic,
};

export const SLOPE: Readonly<Record<ActivationKind, (x: number) => number>> = {
  relu: (x) => (x > 0 ? 1 : 0),
  gelu: (x) => 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  gelu_new: (x) => {
    const t = Math.tanh(inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
  },
  silu: (x) => logistic(x) * (1 + x * (1 - logistic(x))),
  tanh: (x) => 1 - Math.tanh(x) ** 2,
  sigmoid: (x) => logistic(x) * (1 - logistic(x)),
};

/** op(a)·op(b), op(a) m×k and op(b) k×n. */
export function product(a: Values, b: Values, m: number, n: number, k: number, ta = false, tb = false): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += (a[ta ? l * m + i : i * k + l] as number) * (b[tb ? j * k + l : l * n + j] as number);
      c[i * n + j] = sum;
    }
  return c;
}

/** Layer or RMS norm and its gradients for a given upstream gradient. */
export function norm(rms: boolean, z: Values, gamma: Values, beta: Values | undefined, epsilon: number, rows: number, n: number, dy: Values) {
  const [y, dz, dGamma, dBeta] = [new Float64Array(rows * n), new Float64Array(rows * n), new Float64Array(n), new Float64Array(n)];
  for (let r = 0; r < rows; r++) {
    const at = (c: number): number => z[r * n + c] as number;
    let [mean, variance] = [0, 0];
    if (!rms) for (let c = 0; c < n; c++) mean += at(c) / n;
    for (let c = 0; c < n; c++) variance += (at(c) - mean) ** 2 / n;
    const rstd = 1 / Math.sqrt(variance + epsilon);
    let [plain, along] = [0, 0];
    for (let c = 0; c < n; c++) {
      const [hat, d] = [(at(c) - mean) * rstd, dy[r * n + c] as number];
      const g = d * (gamma[c] as number);
      y[r * n + c] = hat * (gamma[c] as number) + (beta === undefined ? 0 : (beta[c] as number));
      plain += g / n;
      along += (g * hat) / n;
      dGamma[c] = (dGamma[c] as number) + d * hat;
      dBeta[c] = (dBeta[c] as number) + d;
    }
    for (let c = 0; c < n; c++) {
      const hat = (at(c) - mean) * rstd;
      dz[r * n + c] = rstd * ((dy[r * n + c] as number) * (gamma[c] as number) - (rms ? 0 : plain) - hat * along);
    }
  }
  return { y, dz, dGamma, dBeta };
}

export interface AttentionCase {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly q: Values;
  readonly k: Values;
  readonly v: Values;
  readonly mask?: Values | undefined;
  readonly bias?: Values | undefined;
  readonly biasBatch?: number;
  /** keep/(1 − p) of a probability by its flat index. */
  readonly factor: (index: number) => number;
}

/** Attention and its gradients for a given upstream gradient. */
export function attention(c: AttentionCase, dy: Values) {
  const { batch, heads, queries, keys, depth, scale } = c;
  const width = heads * depth;
  const [context, dq, dk, dv] = [queries, queries, keys, keys].map((s) => new Float64Array(batch * s * width)) as [F, F, F, F];
  const logSumExp = new Float64Array(batch * heads * queries);
  const dBias = new Float64Array((c.biasBatch ?? 0) * heads * queries * keys);
  const add = (into: F, i: number, value: number): void => void (into[i] = (into[i] as number) + value);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < queries; i++) {
        const Q = (d: number): number => (b * queries + i) * width + h * depth + d;
        const K = (j: number, d: number): number => (b * keys + j) * width + h * depth + d;
        const biasAt = (j: number): number => (((c.biasBatch === 1 ? 0 : b) * heads + h) * queries + i) * keys + j;
        const later = (j: number): boolean => c.causal && j > i + keys - queries;
        const padded = (j: number): boolean => c.mask !== undefined && c.mask[b * keys + j] === 0;
        const score = Float64Array.from({ length: keys }, (_, j) => {
          if (later(j) || padded(j)) return -3.4028234663852886e38;
          let s = 0;
          for (let d = 0; d < depth; d++) s += (c.q[Q(d)] as number) * (c.k[K(j, d)] as number);
          return s * scale + (c.bias === undefined ? 0 : (c.bias[biasAt(j)] as number));
        });
        const top = Math.max(...score);
        const e = score.map((s) => Math.exp(s - top));
        const total = e.reduce((x, y) => x + y, 0);
        logSumExp[(b * heads + h) * queries + i] = top + Math.log(total);
        const p = e.map((x) => x / total);
        const keep = p.map((_, j) => c.factor(((b * heads + h) * queries + i) * keys + j));
        const dp = new Float64Array(keys);
        for (let j = 0; j < keys; j++)
          for (let d = 0; d < depth; d++) {
            const dropped = (p[j] as number) * (keep[j] as number);
            add(context, Q(d), dropped * (c.v[K(j, d)] as number));
            add(dv, K(j, d), dropped * (dy[Q(d)] as number));
            add(dp, j, (dy[Q(d)] as number) * (c.v[K(j, d)] as number) * (keep[j] as number));
          }
        const delta = p.reduce((sum, x, j) => sum + x * (dp[j] as number), 0);
        for (let j = 0; j < keys; j++) {
          const passing = c.causal && c.mask !== undefined ? 1 - (Number(later(j)) + Number(padded(j))) / 2 : 1; // max(score + masks, finfo.min)
          const ds = passing * (p[j] as number) * ((dp[j] as number) - delta);
          if (c.bias !== undefined) add(dBias, biasAt(j), ds);
          for (let d = 0; d < depth; d++) {
            add(dq, Q(d), scale * ds * (c.k[K(j, d)] as number));
            add(dk, K(j, d), scale * ds * (c.q[Q(d)] as number));
          }
        }
      }
  return { context, logSumExp, dq, dk, dv, dBias };
}

type F = Float64Array;
