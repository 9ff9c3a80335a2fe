/** 32-bit finaliser of MurmurHash3: every input bit flips each output bit with probability ½. */
function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * Counter-based random bits: the value at `index` of stream `seed`, without a state. Native kernels compute the same bits, so
 * a dropout mask is a function of (seed, index) on every back-end and need not be stored.
 * @returns an unsigned 32-bit integer.
 */
export function randomBits(seed: number, index: number): number {
  return mix(mix((Math.imul(index, 0x9e3779b1) + seed) | 0) ^ seed) >>> 0;
}

/** Whether dropout with probability `p` keeps element `index` of stream `seed`: the top 24 bits as a fraction are at least p. */
export function keeps(seed: number, index: number, p: number): boolean {
  return (randomBits(seed, index) >>> 8) * 2 ** -24 >= p;
}

/** The whole state of a generator, as plain data. */
export interface RngState {
  readonly seed: number;
  readonly counter: number;
}

/** An explicit, serialisable stream of random numbers. Every random choice of a run comes from one of these. */
export class Rng {
  #seed: number;
  #counter: number;

  constructor(seed: number, counter = 0) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`rng: seed must be an integer, got ${seed}. Pass a whole number.`);
    this.#seed = seed | 0;
    this.#counter = counter;
  }

  /** An unsigned 32-bit integer. */
  bits(): number {
    return randomBits(this.#seed, this.#counter++);
  }

  /** Uniform in [0, 1) with 24 bits. */
  uniform(): number {
    return (this.bits() >>> 8) * 2 ** -24;
  }

  /** Uniform integer in [0, bound). */
  integer(bound: number): number {
    return Math.floor((this.bits() / 2 ** 32) * bound);
  }

  /** Normal with the given mean and standard deviation (Box–Muller). */
  normal(mean = 0, deviation = 1): number {
    const u = 1 - this.uniform();
    const v = this.uniform();
    return mean + deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }

  /** `n` values of N(0, deviation²) as float32, in `out` where it is given. */
  normals(n: number, deviation: number, out: Float32Array = new Float32Array(n)): Float32Array {
    for (let i = 0; i < n; i++) out[i] = this.normal(0, deviation);
    return out;
  }

  /** `n` values uniform in [−bound, bound) as float32, in `out` where it is given. */
  uniforms(n: number, bound: number, out: Float32Array = new Float32Array(n)): Float32Array {
    for (let i = 0; i < n; i++) out[i] = (2 * this.uniform() - 1) * bound;
    return out;
  }

  /** The integers 0 … n−1 in random order (Fisher–Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = order[i] as number;
      order[i] = order[j] as number;
      order[j] = held;
    }
    return order;
  }

  /** An independent stream named by `label`: the same label always gives the same stream, whatever was drawn before. Labels follow each other as one: `fork("a").fork("b")` is `fork("ab")`. */
  fork(label: string): Rng {
    let h = this.#seed;
    for (let i = 0; i < label.length; i++) h = mix((Math.imul(h, 31) + label.charCodeAt(i)) | 0);
    return new Rng(h);
  }

  get state(): RngState {
    return { seed: this.#seed, counter: this.#counter };
  }

  set state(state: RngState) {
    this.#seed = state.seed | 0;
    this.#counter = state.counter;
  }
}
