import { tf, type HostMemory } from "@deft-js/tensor";
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";
import type { Addon, PackedWeight } from "./addon.ts";
import { BufferPool } from "./pool.ts";

/** How frozen weights are multiplied: as they are, or rounded to bfloat16 and summed in float32. */
export type Precision = "f32" | "bf16";

/** A weight as the addon takes it: the plain matrix, the packed one, or both. */
export type WeightOperand = readonly [plain: Float32Array | null, packed: PackedWeight | null];

/** A packed weight and the pool's memory that it stands in. */
interface PackedForm {
  readonly weight: PackedWeight;
  readonly memory: Float32Array;
  /** The matrix, [k, n]. */
  readonly k: number;
  readonly n: number;
}

/** The packed forms of one weight: of the matrix as it is stored, and of its transpose; a product and its gradient want one each. `null`: the machine has no such product. */
interface PackedForms {
  stored?: PackedForm | null;
  turned?: PackedForm | null;
}

interface Stored {
  values: unknown;
  dtype: tf.DataType;
  refCount: number;
  complexTensorInfos?: { real: tf.TensorInfo; imag: tf.TensorInfo };
  /** The values are the pool's: nobody else holds them. */
  pooled?: boolean;
  packed?: PackedForms;
  /** Something else than a product has read the float32 values: they stay. */
  touched?: boolean;
  /** Makes the float32 values of a weight that is held packed alone, in the pool's memory. */
  unpack?: () => Float32Array;
}

/** Which matrix of a weight a product wants: W for the forward one, Wᵀ for the gradient. */
export interface WeightRequest {
  readonly direction: "forward" | "backward";
  /** The weight never changes while it lives. */
  readonly frozen: boolean;
  /** The weight is stored [dOut, dIn]. */
  readonly transposed: boolean;
  readonly dIn: number;
  readonly dOut: number;
  /** Of the product's other operand. */
  readonly rows: number;
  /** The product may read single rows of W instead: float32 values are wanted plain, too. */
  readonly rowwise?: boolean;
}

/** Options of `NativeBackend`. */
export interface NativeBackendOptions {
  readonly addon: Addon;
  readonly precision: Precision;
  /** The most bytes that the buffer pool keeps free. */
  readonly poolLimit: number;
  /** The most bytes of packed float32 weights. */
  readonly packLimit: number;
}

/** tfjs's CPU storage (plain typed arrays) with results in pooled memory, and the native kernels registered over it. */
export class NativeBackend extends MathBackendCPU implements HostMemory {
  readonly addon: Addon;
  readonly pool: BufferPool;
  readonly precision: Precision;
  readonly #packLimit: number;
  #packedBytes = 0;
  /** What the kernel that is running has made, the first `#madeCount` of them; −1 outside kernels. */
  readonly #made: object[] = [];
  #madeCount = -1;
  /** Memory handed out by `hostArray` that is no tensor yet. */
  readonly #fresh = new WeakSet<ArrayBufferLike>();

  constructor({ addon, precision, poolLimit, packLimit }: NativeBackendOptions) {
    super();
    (this as unknown as { firstUse: boolean }).firstUse = false;
    this.addon = addon;
    this.precision = precision;
    this.#packLimit = packLimit;
    this.pool = new BufferPool({ limit: poolLimit, allocate: (bytes) => addon.allocate(bytes) ?? new ArrayBuffer(bytes) });
  }

  /** Bytes of packed weights. */
  get packedBytes(): number {
    return this.#packedBytes;
  }

  #stored(info: tf.TensorInfo): Stored {
    return this.data.get(info.dataId) as unknown as Stored;
  }

  /** Runs a kernel, of which nothing is left behind when it fails. */
  run<C, R>(kernel: (backend: NativeBackend, call: C) => R, call: C): R {
    this.#madeCount = 0;
    try {
      return kernel(this, call);
    } catch (error) {
      for (const dataId of this.#made.slice(0, this.#madeCount)) this.disposeData(dataId);
      throw error;
    } finally {
      this.#madeCount = -1;
    }
  }

  #note(dataId: object): void {
    if (this.#madeCount >= 0) this.#made[this.#madeCount++] = dataId;
  }

  /** A float32 result with arbitrary contents, and its values. */
  make(shape: readonly number[]): [tf.TensorInfo, Float32Array] {
    const values = this.pool.take(tf.util.sizeFromShape([...shape]));
    const dataId = this.write(values, [...shape], "float32");
    (this.data.get(dataId) as unknown as Stored).pooled = true;
    return [{ dataId, shape: [...shape], dtype: "float32" }, values];
  }

  /** A float32 result that starts out as `sum`: in its memory, where no other handle is on it, and otherwise in a copy. */
  continued(sum: tf.TensorInfo): [tf.TensorInfo, Float32Array] {
    const own = this.#taken(sum);
    if (own !== undefined) return own;
    const [made, values] = this.make(sum.shape);
    values.set(this.floats(sum));
    return [made, values];
  }

  /** A float32 result of the shape of an input that is no longer wanted: in its memory, where no other handle is on it. For kernels that read an element before they write it. */
  over(input: tf.TensorInfo): [tf.TensorInfo, Float32Array] {
    return this.#taken(input) ?? this.make(input.shape);
  }

  #taken(info: tf.TensorInfo): [tf.TensorInfo, Float32Array] | undefined {
    const stored = this.#stored(info);
    if (stored.pooled !== true || stored.refCount !== 1) return undefined;
    this.incRef(info.dataId);
    this.#note(info.dataId);
    return [{ dataId: info.dataId, shape: info.shape, dtype: "float32" }, stored.values as Float32Array];
  }

  /** Memory outside the runtime's, of exactly this size; the pool's once it is a tensor. */
  hostArray(length: number): Float32Array {
    const memory = length === 0 ? undefined : this.addon.allocate(length * 4);
    if (memory === undefined) return new Float32Array(length);
    this.#fresh.add(memory);
    return new Float32Array(memory);
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = super.write(values, shape, dtype);
    this.#note(dataId);
    if (values instanceof Float32Array && this.#fresh.delete(values.buffer) && this.pool.adopt(values)) (this.data.get(dataId) as unknown as Stored).pooled = true;
    return dataId;
  }

  /** The values of a float32 tensor. tfjs's own kernels may leave an integer array under a float32 tensor: that is converted. */
  floats(info: tf.TensorInfo): Float32Array {
    const stored = this.#stored(info);
    stored.touched = true;
    const { values } = stored;
    return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
  }

  /** The values as int32. */
  integers(info: tf.TensorInfo): Int32Array {
    const { values } = this.#stored(info);
    return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>);
  }

  /**
   * The values of a tensor that is about to be changed in place: a host array that the user may still hold is copied first,
   * and packed forms are dropped.
   */
  writable(info: tf.TensorInfo): Float32Array {
    const stored = this.#stored(info);
    this.touch(info);
    this.#dropPacked(stored);
    if (stored.pooled === true) return stored.values as Float32Array;
    const own = this.pool.take(tf.util.sizeFromShape(info.shape));
    own.set(stored.values as ArrayLike<number>);
    stored.values = own;
    stored.pooled = true;
    return own;
  }

  /** The weight for a product: packed when it is frozen and the product gains by it, as it is otherwise. */
  weight(info: tf.TensorInfo, request: WeightRequest): WeightOperand {
    const wanted = request.rowwise === true && this.precision === "f32" ? this.floats(info) : null; // noted as read before it is packed: it stays
    const form = request.frozen ? this.#packed(this.#stored(info), request) : null;
    return form === null ? [wanted ?? this.floats(info), null] : [wanted, form.weight];
  }

  /** Made at the first use that gains by it, and kept with the weight's data, in whose place it stands unless something else reads that. */
  #packed(stored: Stored, request: WeightRequest): PackedForm | null {
    const { direction, transposed, dIn, dOut, rows } = request;
    const [k, n, flip] = direction === "forward" ? [dIn, dOut, transposed] : [dOut, dIn, !transposed];
    const form = flip ? "turned" : "stored";
    const made = stored.packed?.[form];
    if (made !== undefined) return made?.k === k && made.n === n ? made : null; // another handle may show another shape
    const bf16 = this.precision === "bf16";
    if (!bf16 && !(this.#packedBytes + 4 * k * n <= this.#packLimit && this.addon.packingGains(rows, k, n))) return null;
    const size = this.addon.packedSize(bf16, k, n);
    const forms = (stored.packed ??= {});
    if (size === 0) return (forms[form] = null);
    const unpacked = stored.unpack?.();
    const memory = this.pool.take(size);
    let weight: PackedWeight;
    try {
      weight = this.addon.pack(bf16, flip, k, n, unpacked ?? (stored.values as Float32Array), memory);
    } catch (error) {
      this.pool.give(memory);
      throw error;
    }
    this.#packedBytes += memory.byteLength;
    if (unpacked !== undefined) this.pool.give(unpacked);
    else if (stored.touched !== true)
      this.#release(stored, () => {
        const values = this.pool.take(k * n);
        this.addon.unpack(flip, k, n, weight, values);
        return values;
      });
    return (forms[form] = { weight, memory, k, n });
  }

  /** Lets the float32 values go. tfjs's own kernels read `values` directly: they come back, as the products use them, when something does. */
  #release(stored: Stored, unpack: () => Float32Array): void {
    if (stored.pooled === true) this.pool.give(stored.values as Float32Array);
    stored.pooled = false;
    stored.unpack = unpack;
    const restore = (): Float32Array => {
      const values = unpack();
      delete stored.unpack;
      stored.pooled = true;
      stored.touched = true;
      Object.defineProperty(stored, "values", { value: values, writable: true, enumerable: true, configurable: true });
      return values;
    };
    Object.defineProperty(stored, "values", { get: restore, enumerable: true, configurable: true });
  }

  /** Notes that the float32 values are read outside products; those that were let go come back. */
  touch(info: tf.TensorInfo): void {
    const stored = this.#stored(info);
    stored.touched = true;
    if (stored.unpack !== undefined) void stored.values;
  }

  #dropPacked(stored: Stored): void {
    for (const form of Object.values(stored.packed ?? {}) as (PackedForm | null)[]) {
      if (form === null) continue;
      this.addon.release(form.weight);
      this.pool.give(form.memory);
      this.#packedBytes -= form.memory.byteLength;
    }
    delete stored.packed;
  }

  /** Gives a result of tfjs's own kernels memory of its own where it shares the pool's, which may be handed out again. */
  unshare(info: tf.TensorInfo): void {
    const stored = this.#stored(info);
    if (stored.pooled === true || !ArrayBuffer.isView(stored.values)) return;
    if (this.pool.owns(stored.values.buffer)) stored.values = (stored.values as Float32Array).slice();
  }

  override disposeData(dataId: object, force = false): boolean {
    if (!this.data.has(dataId)) return true;
    const stored = this.data.get(dataId) as unknown as Stored;
    stored.refCount--;
    if (!force && stored.refCount > 0) return false;
    if (stored.complexTensorInfos !== undefined) {
      this.disposeData(stored.complexTensorInfos.real.dataId, true);
      this.disposeData(stored.complexTensorInfos.imag.dataId, true);
    }
    this.#dropPacked(stored);
    this.data.delete(dataId);
    if (stored.pooled === true) this.pool.give(stored.values as Float32Array);
    return true;
  }

  /** The values for the outside: a copy where they are the pool's, which will be written again. */
  override readSync(dataId: object): tf.backend_util.BackendValues {
    const stored = this.data.get(dataId) as unknown as Stored;
    if (stored.unpack !== undefined) {
      const values = stored.unpack();
      this.pool.give(values);
      return values.slice();
    }
    return stored.pooled === true ? (stored.values as Float32Array).slice() : super.readSync(dataId);
  }

  override dispose(): void {
    this.pool.clear();
  }
}
