/**
 * Fused kernels in plain JavaScript for back-ends whose data the host reads at once (tfjs's cpu and wasm): the functions that
 * those back-ends lack, or do too inexactly for density to be measured.
 */
import type { ActivationKind, KernelName } from "./kernels.ts";
import { derivesFromOutput, GELU_NEW_ZERO, GELU_ZERO } from "./ops/composed-activation.ts";
import { keeps } from "./random.ts";
import { tf } from "./tfjs.ts";

interface HostBackend {
  readSync(dataId: object): Float32Array | Int32Array;
  write(values: Float32Array, shape: number[], dtype: "float32"): object;
}

type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>;
type Kernel = (inputs: Inputs, attrs: Readonly<Record<string, unknown>>, read: (name: string) => Float32Array | Int32Array) => [Float32Array, number[]];

const fround = Math.fround;
const SQRT_HALF = fround(Math.SQRT1_2);
const INVERSE_SQRT_TAU = 1 / Math.sqrt(2 * Math.PI);
const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;
/** The spacing of float32 just below 1: the smallest non-zero 1 + erf. */
const QUANTUM = 2 ** -24;

const STEPS = 512;
const LIMIT = 4;
/** erf at i/STEPS for i = 0 … LIMIT·STEPS, summed by Simpson's rule (error below 1e-15). */
const ERF_TABLE = erfTable();

function erfTable(): Float64Array {
  const table = new Float64Array(LIMIT * STEPS + 2);
  const h = 1 / STEPS;
  const f = (t: number): number => (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t);
  for (let i = 0; i < table.length - 1; i++) {
    const t = i * h;
    table[i + 1] = (table[i] as number) + (h / 6) * (f(t) + 4 * f(t + h / 2) + f(t + h));
  }
  return table;
}

/** erf(x) within 1e-13: Taylor's series to fourth order around the nearest table point. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (!(z < LIMIT)) return Number.isNaN(x) ? x : Math.sign(x);
  const i = Math.round(z * STEPS);
  const t = i / STEPS;
  const d = z - t;
  const slope = (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t);
  const series = d * (1 - d * (t + (d / 3) * (1 - 2 * t * t + d * t * (t * t - 1.5) )));
  return Math.sign(x) * ((ERF_TABLE[i] as number) + slope * series);
}

function geluValue(x: number): number {
  if (x <= GELU_ZERO) return x === -Infinity ? Number.NaN : -0;
  const onePlus = fround(1 + fround(erf(fround(x * SQRT_HALF))));
  return fround(x * 0.5) * (onePlus === 0 ? QUANTUM : onePlus);
}

const innerTanh = (x: number): number => Math.tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x));

function geluNewValue(x: number): number {
  if (x <= GELU_NEW_ZERO) return x === -Infinity ? Number.NaN : -0;
  const onePlus = fround(1 + fround(innerTanh(x)));
  return fround(x * 0.5) * (onePlus === 0 ? QUANTUM : onePlus);
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

const VALUE: Readonly<Record<ActivationKind, (x: number) => number>> = {
  relu: (x) => (x > 0 ? x : x <= 0 ? 0 : x),
  gelu: geluValue,
  gelu_new: geluNewValue,
  silu: (x) => x * logistic(x),
  tanh: Math.tanh,
  sigmoid: logistic,
};

const SLOPE: Readonly<Record<ActivationKind, (x: number, y: number) => number>> = {
  relu: (_x, y) => (y <= 0 ? 0 : 1),
  gelu: (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)) + x * INVERSE_SQRT_TAU * Math.exp(-0.5 * x * x),
  gelu_new: (x) => {
    const t = innerTanh(x);
    return 0.5 * (1 + t + x * (1 - t * t) * TANH_SCALE * (1 + 3 * TANH_CUBIC * x * x));
  },
  silu: (x) => {
    const s = logistic(x);
    return s * (1 + x * (1 - s));
  },
  tanh: (_x, y) => 1 - y * y,
  sigmoid: (_x, y) => y * (1 - y),
};

const activation: Kernel = (inputs, attrs, read) => {
  const f = VALUE[attrs["kind"] as ActivationKind];
  const x = read("x");
  const y = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) y[i] = f(x[i] as number);
  return [y, inputs["x"]?.shape ?? []];
};

const activationGradient: Kernel = (inputs, attrs, read) => {
  const kind = attrs["kind"] as ActivationKind;
  const slope = SLOPE[kind];
  const epsilon = attrs["epsilon"] as number | undefined;
  const at = inputs["x"] ?? inputs["y"];
  const x = read(inputs["x"] === undefined ? "y" : "x");
  // y is wanted by the density term and by the kinds that derive from their output
  const y = inputs["y"] !== undefined ? read("y") : epsilon === undefined && !derivesFromOutput(kind) ? x : x.map(VALUE[kind]);
  const dx = new Float32Array(y.length);
  if (inputs["dy"] !== undefined) dx.set(read("dy"));
  if (epsilon !== undefined) {
    const weights = read("weights");
    const dp = read("dp");
    const [width, seq] = [y.length / weights.length, weights.length / dp.length];
    for (let i = 0; i < y.length; i++) {
      const a = y[i] as number;
      const s = a * a + epsilon;
      const row = Math.floor(i / width);
      dx[i] = (dx[i] as number) + ((dp[Math.floor(row / seq)] as number) * (weights[row] as number) * 2 * a * epsilon) / (s * s);
    }
  }
  for (let i = 0; i < y.length; i++) dx[i] = (dx[i] as number) * slope(x[i] as number, y[i] as number);
  return [dx, at?.shape ?? []];
};

const dropout: Kernel = (inputs, attrs, read) => {
  const [p, seed] = [attrs["probability"] as number, attrs["seed"] as number];
  const x = read("x");
  const y = new Float32Array(x.length);
  const factor = fround(1 / (1 - p));
  for (let i = 0; i < x.length; i++) y[i] = keeps(seed, i, p) ? (x[i] as number) * factor : 0;
  return [y, inputs["x"]?.shape ?? []];
};

const scatterAdd: Kernel = (inputs, attrs, read) => {
  const [ids, dy] = [read("ids"), read("dy")];
  const d = inputs["dy"]?.shape[1] ?? 0;
  const size = attrs["size"] as number;
  const out = new Float32Array(size * d);
  for (const [row, id] of ids.entries()) for (let j = 0; j < d; j++) out[id * d + j] = (out[id * d + j] as number) + (dy[row * d + j] as number);
  return [out, [size, d]];
};

const KERNELS: Partial<Record<KernelName, Kernel>> = {
  DeftActivation: activation,
  DeftActivationGradient: activationGradient,
  DeftDropout: dropout,
  DeftScatterAdd: scatterAdd,
};

/** Registers the host kernels for a back-end that can be read at once. */
export function registerHostKernels(backendName: string): void {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, backend, attrs }) => {
        const host = backend as HostBackend;
        const named = inputs as Inputs;
        const read = (name: string): Float32Array | Int32Array => host.readSync((named[name] as tf.TensorInfo).dataId);
        const [values, shape] = kernel(named, (attrs ?? {}) as Record<string, unknown>, read);
        return { dataId: host.write(values, shape, "float32"), shape, dtype: "float32" };
      },
    });
  }
}
