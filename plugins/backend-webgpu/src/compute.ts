import { tf } from "@deft-js/tensor";
import { BindGroups } from "./bind-groups.ts";
import type { BindGroup, BindGroupLayout, CommandEncoder, ComputePass, ComputePipeline, Device, DeviceBuffer, LayoutEntry } from "./dawn.ts";
import { declaredNumbers, NumberBuffers, type LaunchNumbers } from "./numbers.ts";
import { elementGroups, perElement } from "./wgsl.ts";

/** GPUShaderStage.COMPUTE of the WebGPU standard. */
const COMPUTE_STAGE = 4;
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

/** Tensors by the names that a program has for them. */
export type Bound = Readonly<Record<string, tf.TensorInfo>>;

/** One launch of a program. */
export interface Launch {
  /** Names the program: launches of one name, with the same bindings, share it. */
  readonly program: string;
  /** Its WGSL, a function `main` and what it calls; bindings and `numbers` are declared by their names. Asked for once. */
  readonly code: () => string;
  /** Read alone. None of them may be written in the same launch. */
  readonly reads: Bound;
  /** Written, and read where the program does so. */
  readonly writes: Bound;
  readonly numbers: LaunchNumbers;
  /** Along x (at most 2³¹, folded into y by `folded`), y and z; nothing is launched where one is 0. */
  readonly workgroups: readonly [x: number, y: number, z: number];
}

interface Program {
  readonly pipeline: ComputePipeline;
  readonly layout: BindGroupLayout;
}

/**
 * Runs WGSL on tfjs's device, beside its own programs and in their order: any number of inputs and results, results in the memory of an input, numbers in buffers that are
 * kept. A tensor's memory may be handed on as soon as it is disposed of: the device runs what is recorded in order.
 */
export class Compute {
  readonly #device: Device;
  readonly #recorder: Recorder;
  readonly #numbers: NumberBuffers;
  readonly #groups: BindGroups;
  /** Of the numbers, which have a group to themselves: tensors keep theirs where a number changes with each step. */
  readonly #numbersLayout: BindGroupLayout;
  readonly #layouts = new Map<string, BindGroupLayout>();
  readonly #programs = new Map<string, Program>();
  #launches = 0;

  constructor(device: Device, recorder: Recorder) {
    this.#device = device;
    this.#recorder = recorder;
    this.#numbers = new NumberBuffers(device);
    this.#groups = new BindGroups(device);
    this.#numbersLayout = layoutOf(device, ["uniform"]);
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

  /** Another handle on the memory of `info`, under a shape of as many elements. */
  handle(info: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo {
    this.#recorder.incRef(info.dataId);
    return { dataId: info.dataId, shape: [...shape], dtype: info.dtype };
  }

  /** Frees a tensor that this made for itself. */
  free(info: tf.TensorInfo): void {
    this.#recorder.disposeData(info.dataId);
  }

  /** The memory of an input that is no longer wanted, as a result of its shape: where no other handle is on it and it is no other input. */
  taken(info: tf.TensorInfo | undefined, inputs: Readonly<Record<string, tf.TensorInfo | undefined>>): tf.TensorInfo | undefined {
    if (info === undefined || this.#stored(info).dtype !== "float32" || this.#stored(info).refCount !== 1) return undefined;
    if (Object.values(inputs).filter((input) => input?.dataId === info.dataId).length > 1) return undefined;
    return this.handle(info, info.shape);
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
    const names = [...Object.keys(launch.reads), ...Object.keys(launch.writes)];
    const tensors = [...Object.values(launch.reads), ...Object.values(launch.writes)];
    for (const tensor of tensors) this.#recorder.uploadToGPU(tensor.dataId);
    for (const tensor of Object.values(launch.writes)) this.#forget(this.#stored(tensor));
    const program = this.#program(launch, names, tensors);
    const buffers = tensors.map((tensor) => this.#stored(tensor).resource as DeviceBuffer);
    const groups = [this.#groups.of(program.layout, buffers), this.#groups.of(this.#numbersLayout, [this.#numbers.of(launch.numbers)])] as const;
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

  #program(launch: Launch, names: readonly string[], tensors: readonly tf.TensorInfo[]): Program {
    const types = tensors.map((tensor) => (tensor.dtype === "float32" ? "f32" : "i32"));
    const key = `${launch.program}(${names.join()})${types.join()}`;
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, (program = this.#compiled(launch, names, types)));
    return program;
  }

  #compiled({ program, code, reads, numbers }: Launch, names: readonly string[], types: readonly string[]): Program {
    const reading = Object.keys(reads).length;
    const declared = names.map((name, i) => `@group(0) @binding(${i}) var<storage, ${i < reading ? "read" : "read_write"}> ${name} : array<${types[i]}>;`);
    const uniform = `${declaredNumbers(numbers)}\n@group(1) @binding(0) var<uniform> numbers : Numbers;`;
    const module = this.#device.createShaderModule({ label: program, code: [...declared, uniform, code()].join("\n") });
    const layout = this.#layout(reading, names.length - reading);
    const pipelineLayout = this.#device.createPipelineLayout({ bindGroupLayouts: [layout, this.#numbersLayout] });
    return { layout, pipeline: this.#device.createComputePipeline({ label: program, layout: pipelineLayout, compute: { module, entryPoint: "main" } }) };
  }

  /** The layout of so many bindings to read and so many to write: programs alike in this share it, and with it the groups of their buffers. */
  #layout(reads: number, writes: number): BindGroupLayout {
    const key = `${reads},${writes}`;
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      layout = layoutOf(this.#device, [...Array<BufferType>(reads).fill("read-only-storage"), ...Array<BufferType>(writes).fill("storage")]);
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

type BufferType = LayoutEntry["buffer"]["type"];

function layoutOf(device: Device, types: readonly BufferType[]): BindGroupLayout {
  return device.createBindGroupLayout({ entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })) });
}
