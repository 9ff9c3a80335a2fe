import { tf } from "@deft-js/tensor";
import { BindGroups } from "./bind-groups.ts";
import type { BindGroup, CommandEncoder, ComputePass, ComputePipeline, Device, DeviceBuffer } from "./dawn.ts";
import { NumberBuffers } from "./numbers.ts";
import { Programs, type Launch } from "./programs.ts";
import { elementGroups, perElement } from "./wgsl.ts";

/** Launches in one submission. A submission costs the host as much as a few launches, and the device waits only for the first. */
const BATCH = 64;

/** A tensor's place in tfjs's back-end. */
export interface Stored {
  readonly shape: number[];
  readonly dtype: tf.DataType;
  values: tf.backend_util.BackendValues | null | undefined;
  resource?: DeviceBuffer | null;
  readonly refCount: number;
  /** How often a program has written over the values, of a tensor to which that has happened. */
  changes?: number;
}

/** What is used of tfjs's back-end: its memory and its recording. */
export interface Recorder {
  readonly tensorMap: { get(dataId: object): Stored };
  readonly commandEncoder: CommandEncoder;
  computePassEncoder: ComputePass | null;
  dispatchCountInPass: number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(dataId: object): void;
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: tf.backend_util.BackendValues): tf.TensorInfo;
  incRef(dataId: object): void;
  disposeData(dataId: object, force?: boolean): boolean;
}

/**
 * Runs WGSL on tfjs's device, beside its own programs and in their order: any number of inputs and results, results in the memory of an input, numbers in buffers that are
 * kept. A tensor's memory may be handed on as soon as it is disposed of: the device runs what is recorded in order.
 */
export class Compute {
  readonly #recorder: Recorder;
  readonly #numbers: NumberBuffers;
  readonly #groups: BindGroups;
  readonly #programs: Programs;
  #launches = 0;

  constructor(device: Device, recorder: Recorder) {
    this.#recorder = recorder;
    this.#numbers = new NumberBuffers(device);
    this.#groups = new BindGroups(device);
    this.#programs = new Programs(device);
    tf.env().set("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE", BATCH);
  }

  /** Launches, and bind groups made for them, so far. */
  get counts(): { readonly launches: number; readonly bindGroups: number } {
    return { launches: this.#launches, bindGroups: this.#groups.made };
  }

  /** A float32 result with arbitrary contents. */
  make(shape: readonly number[]): tf.TensorInfo {
    const made = this.#recorder.makeTensorInfo([...shape], "float32");
    if (tf.util.sizeFromShape(made.shape) === 0) this.#stored(made).values = new Float32Array(0);
    return made;
  }

  /** A float32 result from host values. */
  from(values: Float32Array, shape: readonly number[]): tf.TensorInfo {
    return this.#recorder.makeTensorInfo([...shape], "float32", values);
  }

  /** Frees a tensor that this made for itself. */
  free(info: tf.TensorInfo): void {
    this.#recorder.disposeData(info.dataId);
  }

  /** The memory of an input that is no longer wanted, as a result of its shape: where no other handle is on it and it is no other input. */
  taken(info: tf.TensorInfo | undefined, inputs: Readonly<Record<string, tf.TensorInfo | undefined>>): tf.TensorInfo | undefined {
    if (info === undefined || this.#stored(info).dtype !== "float32" || this.#stored(info).refCount !== 1) return undefined;
    if (Object.values(inputs).filter((input) => input?.dataId === info.dataId).length > 1) return undefined;
    this.#recorder.incRef(info.dataId);
    return { dataId: info.dataId, shape: [...info.shape], dtype: "float32" };
  }

  /** Whether a tensor's values are on the device. */
  onDevice(info: tf.TensorInfo): boolean {
    return (this.#stored(info).resource ?? undefined) !== undefined;
  }

  /** The value of a tensor of one element that is still on the host; undefined of any other. */
  number(info: tf.TensorInfo): number | undefined {
    const { values, resource } = this.#stored(info);
    const value = (resource ?? undefined) === undefined && values?.length === 1 ? values[0] : undefined;
    return typeof value === "number" ? value : undefined;
  }

  /** Room on the device for a tensor whose values on the host, if any, do not count. */
  renew(info: tf.TensorInfo): void {
    this.#forget(this.#stored(info));
  }

  /** What is known of the values on the host no longer holds. */
  #forget(stored: Stored): void {
    stored.changes = (stored.changes ?? 0) + 1;
    if (stored.values?.length !== 0) stored.values = null;
  }

  /** Records a launch. */
  run(launch: Launch): void {
    const [x, y, z] = launch.workgroups;
    if (x * y * z === 0) return;
    const disguised = Object.entries(launch.reads).filter(([, tensor]) => this.#disguised(tensor));
    if (disguised.length === 0) return this.#run(launch);
    const floats = disguised.map(([name, tensor]) => [name, this.#converted(tensor)] as const);
    this.#run({ ...launch, reads: { ...launch.reads, ...Object.fromEntries(floats) } });
    for (const [, tensor] of floats) this.free(tensor);
  }

  /** tfjs casts integers to float32 in name alone: the memory under such a tensor holds integers. */
  #disguised(tensor: tf.TensorInfo): boolean {
    return tensor.dtype === "float32" && this.#stored(tensor).dtype !== "float32";
  }

  #converted({ dataId, shape }: tf.TensorInfo): tf.TensorInfo {
    const y = this.make(shape);
    const size = tf.util.sizeFromShape(shape);
    this.#run({ program: "floats", code: () => perElement("y[i] = f32(x[i]);"), reads: { x: { dataId, shape, dtype: "int32" } }, writes: { y }, numbers: { integers: { size } }, workgroups: elementGroups(size) });
    return y;
  }

  #run(launch: Launch): void {
    const tensors = [...Object.values(launch.reads), ...Object.values(launch.writes)];
    for (const tensor of tensors) this.#recorder.uploadToGPU(tensor.dataId);
    for (const tensor of Object.values(launch.writes)) this.#forget(this.#stored(tensor));
    const program = this.#programs.of(launch);
    const buffers = tensors.map((tensor) => this.#stored(tensor).resource as DeviceBuffer);
    const groups = [this.#groups.of(program.layout, buffers), this.#groups.of(this.#programs.numbersLayout, [this.#numbers.of(launch.numbers)])] as const;
    this.#record(program.pipeline, groups, launch.workgroups);
  }

  #record(pipeline: ComputePipeline, [tensors, numbers]: readonly [BindGroup, BindGroup], workgroups: Launch["workgroups"]): void {
    const recorder = this.#recorder;
    recorder.ensureCommandEncoderReady();
    const pass = (recorder.computePassEncoder ??= recorder.commandEncoder.beginComputePass());
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, tensors);
    pass.setBindGroup(1, numbers);
    pass.dispatchWorkgroups(...workgroups);
    this.#launches++;
    recorder.dispatchCountInPass++;
    if (recorder.dispatchCountInPass < BATCH) return;
    recorder.endComputePassEncoder();
    recorder.submitQueue();
  }

  #stored(info: tf.TensorInfo): Stored {
    return this.#recorder.tensorMap.get(info.dataId);
  }
}
