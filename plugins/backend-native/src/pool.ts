/** What a pool holds and has done. Sizes are in bytes. */
export interface PoolStatistics {
  /** Handed out now. */
  readonly live: number;
  /** Waiting to be used again. */
  readonly free: number;
  /** The most that was ever handed out. */
  readonly peak: number;
  /** The bound on `free`. */
  readonly limit: number;
  /** Requests served from the free lists. */
  readonly hits: number;
  /** Requests that needed new memory. */
  readonly misses: number;
  /** Buffers given back beyond the bound, left to the garbage collector. */
  readonly dropped: number;
}

/** Options of `BufferPool`. */
export interface BufferPoolOptions {
  /** The most bytes to keep free. */
  readonly limit: number;
  /** Makes a buffer of at least so many bytes. */
  readonly allocate: (bytes: number) => ArrayBuffer;
}

/** The size class of a request: eight per octave, so that at most an eighth is wasted. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - 3);
  return Math.ceil(bytes / step) * step;
}

/**
 * Buffers used again by size class: new typed arrays would be cleared, and collected long after their end.
 * What is given back beyond the bound is left to the garbage collector.
 */
export class BufferPool {
  readonly #limit: number;
  readonly #allocate: (bytes: number) => ArrayBuffer;
  readonly #lists = new Map<number, ArrayBuffer[]>();
  readonly #own = new WeakMap<ArrayBufferLike, number>();
  #live = 0;
  #free = 0;
  #peak = 0;
  #hits = 0;
  #misses = 0;
  #dropped = 0;

  constructor({ limit, allocate }: BufferPoolOptions) {
    this.#limit = limit;
    this.#allocate = allocate;
  }

  /** An array of `length` elements with arbitrary contents. */
  take(length: number): Float32Array {
    const size = sizeClass(length * 4);
    const free = this.#lists.get(size)?.pop();
    const buffer = free ?? this.#fresh(size);
    if (free !== undefined) {
      this.#hits++;
      this.#free -= size;
    }
    this.#live += size;
    this.#peak = Math.max(this.#peak, this.#live);
    return new Float32Array(buffer, 0, length);
  }

  #fresh(size: number): ArrayBuffer {
    const buffer = this.#allocate(size);
    this.#own.set(buffer, size);
    this.#misses++;
    return buffer;
  }

  /** Takes over an array that fills its memory, as if it had been handed out; nobody else may use it. @returns false when its size is no class of this pool's */
  adopt(array: Float32Array): boolean {
    const { buffer, byteLength } = array;
    if (byteLength !== buffer.byteLength || byteLength !== sizeClass(byteLength) || this.#own.has(buffer)) return false;
    this.#own.set(buffer, byteLength);
    this.#live += byteLength;
    this.#peak = Math.max(this.#peak, this.#live);
    return true;
  }

  /** Takes an array of this pool back; nobody may use it afterwards. */
  give(array: Float32Array): void {
    const buffer = array.buffer as ArrayBuffer;
    const size = this.#own.get(buffer);
    if (size === undefined) return;
    this.#live -= size;
    if (this.#free + size > this.#limit) {
      this.#dropped++;
      return;
    }
    this.#free += size;
    const list = this.#lists.get(size);
    if (list === undefined) this.#lists.set(size, [buffer]);
    else list.push(buffer);
  }

  /** Whether the memory under an array belongs to this pool. */
  owns(buffer: ArrayBufferLike): boolean {
    return this.#own.has(buffer);
  }

  /** Lets all free buffers go. */
  clear(): void {
    this.#lists.clear();
    this.#free = 0;
  }

  get statistics(): PoolStatistics {
    return { live: this.#live, free: this.#free, peak: this.#peak, limit: this.#limit, hits: this.#hits, misses: this.#misses, dropped: this.#dropped };
  }
}
