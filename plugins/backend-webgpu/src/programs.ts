import type { tf } from "@deft-js/tensor";
import type { BindGroupLayout, ComputePipeline, Device, LayoutEntry } from "./dawn.ts";
import { declaredNumbers, type LaunchNumbers } from "./numbers.ts";

/** GPUShaderStage.COMPUTE of the WebGPU standard. */
const COMPUTE_STAGE = 4;

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

/** A compiled program, and the layout of its tensors. */
interface Program {
  readonly pipeline: ComputePipeline;
  readonly layout: BindGroupLayout;
}

type BufferType = LayoutEntry["buffer"]["type"];

function layoutOf(device: Device, types: readonly BufferType[]): BindGroupLayout {
  return device.createBindGroupLayout({ entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })) });
}

const typeOf = ({ dtype }: tf.TensorInfo): string => (dtype === "float32" ? "f32" : "i32");

function declared(bound: Bound, first: number, access: "read" | "read_write"): string[] {
  return Object.entries(bound).map(([name, tensor], i) => `@group(0) @binding(${first + i}) var<storage, ${access}> ${name} : array<${typeOf(tensor)}>;`);
}

/** Compiles each program once: tensors in the order of a launch are bound in group 0, its numbers in group 1. */
export class Programs {
  readonly #device: Device;
  readonly #layouts = new Map<string, BindGroupLayout>();
  readonly #programs = new Map<string, Program>();
  /** Of the numbers, which have a group to themselves: tensors keep theirs where a number changes with each step. */
  readonly numbersLayout: BindGroupLayout;

  constructor(device: Device) {
    this.#device = device;
    this.numbersLayout = layoutOf(device, ["uniform"]);
  }

  /** The program of a launch. */
  of(launch: Launch): Program {
    let key = launch.program;
    for (const name in launch.reads) key += `,${name}:${typeOf(launch.reads[name] as tf.TensorInfo)}`;
    for (const name in launch.writes) key += `;${name}:${typeOf(launch.writes[name] as tf.TensorInfo)}`;
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, (program = this.#compiled(launch)));
    return program;
  }

  #compiled({ program, code, reads, writes, numbers }: Launch): Program {
    const reading = Object.keys(reads).length;
    const bindings = [...declared(reads, 0, "read"), ...declared(writes, reading, "read_write"), declaredNumbers(numbers), "@group(1) @binding(0) var<uniform> numbers : Numbers;"];
    const module = this.#device.createShaderModule({ label: program, code: [...bindings, code()].join("\n") });
    const layout = this.#layout(reading, Object.keys(writes).length);
    const pipelineLayout = this.#device.createPipelineLayout({ bindGroupLayouts: [layout, this.numbersLayout] });
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
