import { tf } from "./tfjs.ts";

/** What one kernel took. */
export interface KernelTime {
  /** The back-end's name for it: `DeftLinear`, `Add`, … */
  readonly kernel: string;
  readonly calls: number;
  /** Milliseconds of all calls, without those of kernels that they call in turn. */
  readonly ms: number;
}

/** A run with the time of its kernels. */
export interface KernelProfile<T> {
  readonly result: T;
  /** Milliseconds of the whole; what the kernels leave of it is JavaScript between them. */
  readonly ms: number;
  /** The longest first. */
  readonly kernels: readonly KernelTime[];
}

interface Entry {
  calls: number;
  ms: number;
}

/** The time of calls that are under way: what inner calls took is taken from the outer one. */
class Clock {
  readonly entries = new Map<string, Entry>();
  readonly #inner: number[] = [];

  timed(config: tf.KernelConfig): tf.KernelFunc {
    const { kernelName, kernelFunc } = config;
    return (call) => {
      const started = performance.now();
      this.#inner.push(0);
      try {
        return kernelFunc(call);
      } finally {
        this.#add(kernelName, performance.now() - started);
      }
    };
  }

  #add(name: string, ms: number): void {
    const inner = this.#inner.pop() ?? 0;
    const outer = this.#inner.length - 1;
    if (outer >= 0) this.#inner[outer] = (this.#inner[outer] ?? 0) + ms;
    const entry = this.entries.get(name) ?? { calls: 0, ms: 0 };
    this.entries.set(name, { calls: entry.calls + 1, ms: entry.ms + ms - inner });
  }
}

/**
 * Runs `body` and times the kernels of the active back-end by name. On back-ends that compute while JavaScript goes on (GPUs)
 * a kernel's time is that of its submission.
 */
export async function profileKernels<T>(body: () => T | Promise<T>): Promise<KernelProfile<T>> {
  const clock = new Clock();
  tf.backend(); // starts the default one where none was chosen
  const configs = tf.getKernelsForBackend(tf.getBackend());
  const before = configs.map((config) => config.kernelFunc);
  for (const config of configs) config.kernelFunc = clock.timed({ ...config });
  const started = performance.now();
  try {
    const result = await body();
    const ms = performance.now() - started;
    const kernels = [...clock.entries].map(([kernel, entry]) => ({ kernel, ...entry }));
    return { result, ms, kernels: kernels.sort((a, b) => b.ms - a.ms) };
  } finally {
    for (const [i, config] of configs.entries()) config.kernelFunc = before[i] as tf.KernelFunc;
  }
}

/** A table of the kernels: milliseconds, share of the whole and calls, and the time between kernels. */
export function profileTable({ ms, kernels }: KernelProfile<unknown>): string {
  const line = (name: string, part: number, calls: string): string => `${name.padEnd(30)} ${part.toFixed(2).padStart(10)} ms ${((100 * part) / ms).toFixed(1).padStart(6)} %  ${calls}`;
  const between = ms - kernels.reduce((sum, kernel) => sum + kernel.ms, 0);
  return [...kernels.map((kernel) => line(kernel.kernel, kernel.ms, `× ${kernel.calls}`)), line("between kernels", between, "")].join("\n");
}
