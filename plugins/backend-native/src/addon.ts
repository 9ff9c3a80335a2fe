import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

type Floats = Float32Array | null;

/** A frozen weight in the matrix library's own order, in float32 or bfloat16, in memory of the caller's that must outlive its use; opaque. */
export interface PackedWeight {
  readonly packed: unique symbol;
}

/** What the addon tells about itself. */
export interface AddonDescription {
  /** The instruction set in use. */
  readonly isa: string;
  /** Those that this machine can run, separated by commas. */
  readonly available: string;
  /** The matrix library with its version. */
  readonly library: string;
  readonly threads: number;
  /** 1 when the machine multiplies bfloat16 in hardware. */
  readonly bf16: number;
}

/** The attention's shape as the addon takes it, in this order. */
export type AttentionShape = readonly [
  scale: number, causal: boolean, dropout: number, seed: number, batch: number, heads: number, queries: number, keys: number, depth: number, biasBatch: number,
];
/** A matrix in few bits as the addon takes it, in this order. */
export type QuantizedArguments = readonly [
  dOut: number, dIn: number, int8: boolean, block: number, codes: Uint8Array, codebook: Floats, scales: Float32Array,
  scaleCodes: Uint8Array | null, scaleCodebook: Floats, scaleBlock: number, offset: number,
];
type Four = readonly [number, number, number, number];

/**
 * The functions of the C++ addon. All arrays are dense; sizes come first; each call checks every type, size and range and
 * throws a RangeError before anything is read.
 */
export interface Addon {
  configure(threads: number, isa: string): void;
  describe(): AddonDescription;
  allocate(bytes: number): ArrayBuffer | undefined;
  linear(activation: number, transposed: boolean, rows: number, dIn: number, dOut: number, x: Floats, weight: Floats, packed: PackedWeight | null, bias: Floats, y: Floats, pre: Floats, slope: boolean): void;
  linearInputGradient(transposed: boolean, onto: boolean, rows: number, dIn: number, dOut: number, dy: Floats, weight: Floats, packed: PackedWeight | null, dx: Floats): void;
  linearWeightGradient(transposed: boolean, rows: number, dIn: number, dOut: number, x: Floats, dy: Floats, dw: Floats): void;
  lowRank(scale: number, rows: number, dIn: number, dOut: number, rank: number, x: Floats, base: Floats, down: Floats, up: Floats, y: Floats, xa: Floats): void;
  lowRankGradient(scale: number, onto: boolean, rows: number, dIn: number, dOut: number, rank: number, x: Floats, xa: Floats, dy: Floats, down: Floats, up: Floats, dx: Floats, dDown: Floats, dUp: Floats, dxa: Floats): void;
  quantizedLinear(...args: [rows: number, ...matrix: QuantizedArguments, x: Floats, bias: Floats, y: Floats]): void;
  quantizedLinearInputGradient(...args: [rows: number, ...matrix: QuantizedArguments, dy: Floats, dx: Floats]): void;
  batchProduct(transposeA: boolean, transposeB: boolean, batch: number, m: number, n: number, k: number, shareA: boolean, shareB: boolean, a: Floats, b: Floats, y: Floats): void;
  packingGains(rows: number, k: number, n: number): boolean;
  packedSize(bf16: boolean, k: number, n: number): number;
  pack(bf16: boolean, transposed: boolean, k: number, n: number, weight: Floats, room: Float32Array): PackedWeight;
  unpack(transposed: boolean, k: number, n: number, packed: PackedWeight, weight: Floats): void;
  sparseLinear(breakEven: number, threshold: number, keep: number, transposed: boolean, rows: number, dIn: number, dOut: number, x: Floats, weight: Floats, packed: PackedWeight | null, bias: Floats, y: Floats, decision: Floats): void;
  selectedLinear(breakEven: number, threshold: number, rows: number, dIn: number, dOut: number, x: Floats, weight: Floats, packed: PackedWeight | null, select: Floats, bias: Floats, y: Floats, decision: Floats): void;
  release(packed: PackedWeight): void;
  activation(kind: number, n: number, x: Floats, y: Floats): void;
  activationGradient(kind: number, epsilon: number, rows: number, n: number, x: Floats, y: Floats, slope: Floats, dy: Floats, weights: Floats, batch: number, dp: Floats, dx: Floats, penalty: Float32Array | null): void;
  density(epsilon: number, batch: number, seq: number, n: number, a: Floats, weights: Floats, p: Floats): void;
  densityGradient(epsilon: number, batch: number, seq: number, n: number, a: Floats, weights: Floats, dy: Floats, da: Floats, penalty: Float32Array | null): void;
  dropout(probability: number, seed: number, n: number, x: Floats, y: Floats): void;
  adamW(learningRate: number, beta1: number, beta2: number, epsilon: number, weightDecay: number, step: number, n: number, value: Floats, m: Floats, v: Floats, gradient: Floats): void;
  unary(op: number, n: number, x: Floats, y: Floats): void;
  binary(op: number, ...rest: [...size: Four, ...strideA: Four, ...strideB: Four, lengthA: number, lengthB: number, a: Floats, b: Floats, y: Floats]): void;
  norm(rms: boolean, epsilon: number, rows: number, n: number, x: Floats, residual: Floats, gamma: Floats, beta: Floats, y: Floats, mean: Floats, rstd: Floats, z: Floats): void;
  normGradient(rms: boolean, onto: boolean, rows: number, n: number, dy: Floats, z: Floats, gamma: Floats, mean: Floats, rstd: Floats, dz: Floats, dGamma: Floats, dBeta: Floats): void;
  softmax(rows: number, n: number, x: Floats, y: Floats): void;
  crossEntropy(ignoreIndex: number, rows: number, n: number, logits: Floats, labels: Int32Array, loss: Floats, logSumExp: Floats): void;
  crossEntropyGradient(ignoreIndex: number, rows: number, n: number, logits: Floats, labels: Int32Array, logSumExp: Floats, dy: Floats, dLogits: Floats): void;
  sumLast(scale: number, rows: number, n: number, x: Floats, y: Floats): void;
  sumFirst(scale: number, rows: number, n: number, x: Floats, y: Floats): void;
  maxLast(rows: number, n: number, x: Floats, y: Floats): void;
  squaredNorm(n: number, x: Floats): number;
  attention(...args: [...AttentionShape, q: Floats, k: Floats, v: Floats, mask: Floats, bias: Floats, context: Floats, logSumExp: Floats]): void;
  attentionGradient(...args: [...AttentionShape, q: Floats, k: Floats, v: Floats, mask: Floats, bias: Floats, logSumExp: Floats, dy: Floats, dq: Floats, dk: Floats, dv: Floats, dBias: Floats]): void;
  gather(rows: number, size: number, n: number, table: Floats, ids: Int32Array, y: Floats): void;
  scatterAdd(rows: number, size: number, n: number, ids: Int32Array, dy: Floats, out: Floats): void;
  copyBlock(rows: number, fromStride: number, fromOffset: number, toStride: number, toOffset: number, n: number, from: Floats, to: Floats): void;
  transpose(...args: [...size: Four, ...positions: Four, x: Floats, y: Floats]): void;
}

const FILE = fileURLToPath(new URL("../addon/build/Release/deft_native.node", import.meta.url));

/** Where the built addon is looked for: DEFT_NATIVE_ADDON, or the place where the install script puts it. */
export function addonFile(): string {
  return process.env["DEFT_NATIVE_ADDON"] ?? FILE;
}

/** Whether the addon has been built. */
export function addonBuilt(): boolean {
  return existsSync(addonFile());
}

/**
 * OpenMP reads its settings when it is loaded. Threads that wait spin shortly and then sleep: a long spin collapses when
 * the machine has other work. A choice made in the environment stands.
 */
function loadWithShortSpin(file: string): Addon {
  const name = "GOMP_SPINCOUNT";
  const chosen = process.env[name] !== undefined || process.env["OMP_WAIT_POLICY"] !== undefined;
  if (!chosen) process.env[name] = "20000";
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } finally {
    if (!chosen) Reflect.deleteProperty(process.env, name);
  }
}

let loaded: Addon | undefined;

/** The addon; throws what Node says when it cannot be loaded. */
export function loadAddon(): Addon {
  return (loaded ??= loadWithShortSpin(addonFile()));
}
