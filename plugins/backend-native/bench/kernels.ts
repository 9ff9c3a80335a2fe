/**
 * Single kernels: time, GFLOP/s or GB/s, and for linear layers the share of the library's own speed for the shape (the plain product).
 *
 *   node --conditions=@deft-js/source --import tsx bench/kernels.ts [repeats]
 */
import { availableParallelism } from "node:os";
import { loadAddon } from "../src/addon.ts";

const addon = loadAddon();
addon.configure(availableParallelism(), process.env["DEFT_NATIVE_ISA"] ?? "auto");
const repeats = Number(process.argv[2] ?? 15);

const fill = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.37) * 1.5);

/** The least milliseconds of a call, each sample long enough for the clock. */
function best(run: () => void): number {
  run();
  const start = performance.now();
  run();
  const inner = Math.max(1, Math.round(5 / Math.max(performance.now() - start, 1e-3)));
  let least = Infinity;
  for (let i = 0; i < repeats; i++) {
    const from = performance.now();
    for (let j = 0; j < inner; j++) run();
    least = Math.min(least, (performance.now() - from) / inner);
  }
  return least;
}

function linearTable(): void {
  console.log("linear layer, rows × dIn → dOut".padEnd(30), "library  linear   +gelu gradient  packed    bf16 GFLOP/s; share of the library");
  for (const [rows, dIn, dOut] of [[2048, 256, 256], [2048, 256, 1024], [2048, 1024, 256], [2048, 768, 768], [2048, 768, 3072], [2048, 3072, 768], [1024, 128, 512], [128, 256, 1024], [128, 768, 768], [128, 768, 3072], [8, 512, 2048], [1, 512, 2048]] as const) {
    const [x, w, b, y, pre, dx] = [fill(rows * dIn), fill(dIn * dOut), fill(dOut), fill(rows * dOut), fill(rows * dOut), fill(rows * dIn)];
    const flops = 2e-6 * rows * dIn * dOut;
    const library = flops / best(() => addon.batchProduct(false, false, 1, rows, dOut, dIn, false, false, x, w, y));
    const plain = flops / best(() => addon.linear(0, false, rows, dIn, dOut, x, w, null, b, y, null, false));
    const gelu = flops / best(() => addon.linear(2, false, rows, dIn, dOut, x, w, null, b, y, pre, false));
    const back = flops / best(() => addon.linearInputGradient(false, false, rows, dIn, dOut, y, w, null, dx));
    const [packed, rounded] = [false, true].map((bf16) => {
      const size = addon.packedSize(bf16, dIn, dOut);
      const room = new Float32Array(size);
      const weight = size === 0 ? null : addon.pack(bf16, false, dIn, dOut, w, room);
      return weight === null ? NaN : flops / best(() => addon.linear(0, false, rows, dIn, dOut, x, null, weight, b, y, null, false));
    }) as [number, number];
    console.log(`${rows} × ${dIn} → ${dOut}`.padEnd(30), ...[library, plain, gelu, back, packed, rounded].map((v) => v.toFixed(0).padStart(7)), `  ${(plain / library).toFixed(2)} ${(gelu / library).toFixed(2)}`);
  }
}

function otherTable(): void {
  const n = 2048 * 1024;
  const [a, b, c, d] = [fill(n), fill(n), fill(n), fill(n)];
  const [gamma, beta, rows, ones, examples, penalty] = [fill(1024), fill(1024), fill(2048), fill(2048), fill(16), fill(16)];
  const report = (name: string, bytes: number, run: () => void): void => {
    const ms = best(run);
    console.log(name.padEnd(36), `${ms.toFixed(3).padStart(8)} ms ${((bytes * 1e-6) / ms).toFixed(1).padStart(7)} GB/s`);
  };
  report("add 2048 × 1024", 12 * n, () => addon.binary(0, 1, 1, 1, n, 0, 0, 0, 1, 0, 0, 0, 1, n, n, a, b, c));
  for (const [kind, name] of [[1, "relu"], [2, "gelu"], [3, "gelu_new"], [4, "silu"]] as const) {
    report(name, 8 * n, () => addon.activation(kind, n, a, c));
    report(`${name} gradient with density and its value`, 12 * n, () => addon.activationGradient(kind, 1e-7, 2048, 1024, kind === 1 ? null : a, b, null, c, rows, 16, examples, d, penalty));
    report(`${name} gradient with density`, 12 * n, () => addon.activationGradient(kind, 1e-7, 2048, 1024, kind === 1 ? null : a, b, null, c, rows, 16, examples, d, null));
    report(`${name} gradient`, 12 * n, () => addon.activationGradient(kind, 0, 2048, 1024, kind === 1 ? null : a, b, null, c, null, 0, null, d, null));
    report(`${name} gradient with density by the slope`, 16 * n, () => addon.activationGradient(kind, 1e-7, 2048, 1024, null, b, a, c, rows, 16, examples, d, null));
    report(`${name} gradient by the slope`, 12 * n, () => addon.activationGradient(kind, 0, 2048, 1024, null, null, a, c, null, 0, null, d, null));
  }
  report("density", 4 * n, () => addon.density(1e-7, 16, 128, 1024, a, rows, penalty));
  report("layer norm with residual", 16 * n, () => addon.norm(false, 1e-5, 2048, 1024, a, b, gamma, beta, c, rows, ones, d));
  report("layer norm gradient", 12 * n, () => addon.normGradient(false, false, 2048, 1024, a, b, gamma, rows, ones, c, null, null));
  report("softmax", 8 * n, () => addon.softmax(2048, 1024, a, c));
  for (const [heads, depth] of [[4, 64], [12, 64]] as const) {
    const width = 16 * 128 * heads * depth;
    const [q, k, v, o, g] = [fill(width), fill(width), fill(width), fill(width), fill(width)];
    const [dq, dk, dv, lse] = [fill(width), fill(width), fill(width), fill(16 * heads * 128)];
    const shape = [0.125, false, 0, 0, 16, heads, 128, 128, depth, 0] as const;
    const gflop = 2e-6 * width * 128;
    const forward = best(() => addon.attention(...shape, q, k, v, null, null, o, lse));
    const backward = best(() => addon.attentionGradient(...shape, q, k, v, null, null, lse, g, dq, dk, dv, null));
    console.log(`attention 16 × ${heads} × 128 × 128 × ${depth}`.padEnd(36), `forward ${forward.toFixed(2)} ms ${((2 * gflop) / forward).toFixed(0)} GFLOP/s, backward ${backward.toFixed(2)} ms ${((5 * gflop) / backward).toFixed(0)} GFLOP/s`);
  }
}

linearTable();
otherTable();
