import { tf } from "@deft-js/tensor";

/** A compute program in the form that tfjs's WebGPU back-end runs: WGSL over named inputs, one invocation for each element of the result. */
interface Program {
  readonly variableNames: readonly string[];
  readonly outputShape: number[];
  readonly workgroupSize: readonly [number, number, number];
  readonly dispatchLayout: { readonly x: number[] };
  readonly dispatch: readonly [number, number, number];
  readonly uniforms: string;
  /** Declares `uniforms.size`, the number of elements of the result. */
  readonly size: true;
  /** Programs with one key, and inputs and results of the same ranks, are compiled once. */
  readonly shaderKey: string;
  getUserCode(): string;
}

/** What of tfjs's package makes programs. */
export interface ProgramTools {
  flatDispatchLayout(shape: number[]): { readonly x: number[] };
  computeDispatch(layout: { readonly x: number[] }, shape: number[], workgroupSize: readonly [number, number, number]): [number, number, number];
}

interface Backend {
  runWebGPUProgram(program: Program, inputs: readonly tf.TensorInfo[], dtype: tf.DataType, uniforms: readonly { readonly type: "int32" | "float32"; readonly data: readonly number[] }[]): tf.TensorInfo;
  disposeData(dataId: object): boolean;
}

type Inputs = Readonly<Record<string, tf.TensorInfo>>;
type Kernel = (backend: Backend, inputs: Inputs, attrs: Readonly<Record<string, unknown>>, tools: ProgramTools) => tf.TensorInfo;

const NAME = "webgpu";
const WORKGROUP = [128, 1, 1] as const;

function program(tools: ProgramTools, of: Pick<Program, "variableNames" | "outputShape" | "uniforms" | "shaderKey"> & { readonly code: string }): Program {
  const { code, ...rest } = of;
  const dispatchLayout = tools.flatDispatchLayout(rest.outputShape);
  return { ...rest, size: true, workgroupSize: WORKGROUP, dispatchLayout, dispatch: tools.computeDispatch(dispatchLayout, rest.outputShape, WORKGROUP), getUserCode: () => code };
}

/** The bits of `randomBits` in @deft-js/tensor. The probability comes as a whole number of 2⁻²⁴, so that the comparison is exact. */
const DROPOUT = /* wgsl */ `
fn mix32(bits : u32) -> u32 {
  var h = bits;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}
fn main(index : i32) {
  if (index < uniforms.size) {
    let seed = bitcast<u32>(uniforms.seed);
    let drawn = mix32(mix32(u32(index) * 0x9e3779b1u + seed) ^ seed);
    setOutputAtIndex(index, select(0.0, x[index] * uniforms.factor, i32(drawn >> 8u) >= uniforms.threshold));
  }
}`;

const dropout: Kernel = (backend, inputs, attrs, tools) => {
  const x = inputs["x"] as tf.TensorInfo;
  const [probability, seed] = [attrs["probability"] as number, attrs["seed"] as number];
  const drop = program(tools, { variableNames: ["x"], outputShape: x.shape, uniforms: "seed : i32, threshold : i32, factor : f32,", shaderKey: "deft_dropout", code: DROPOUT });
  return backend.runWebGPUProgram(drop, [x], "float32", [
    { type: "int32", data: [seed | 0] },
    { type: "int32", data: [Math.ceil(probability * 2 ** 24)] },
    { type: "float32", data: [1 / (1 - probability)] },
  ]);
};

/** Each element of the table goes through the ids in their order: no two invocations write to one place, so the sum is the same each time. */
const SCATTER_ADD = /* wgsl */ `
fn main(index : i32) {
  if (index < uniforms.size) {
    let row = index / uniforms.width;
    let column = index - row * uniforms.width;
    var sum = 0.0;
    for (var i = 0; i < uniforms.rows; i = i + 1) {
      if (ids[i] == row) { sum = sum + dy[i * uniforms.width + column]; }
    }
    setOutputAtIndex(index, sum);
  }
}`;

const scatterAdd: Kernel = (backend, inputs, attrs, tools) => {
  const [ids, dy] = [inputs["ids"] as tf.TensorInfo, inputs["dy"] as tf.TensorInfo];
  const [rows = 0, width = 0] = dy.shape;
  const add = program(tools, { variableNames: ["ids", "dy"], outputShape: [attrs["size"] as number, width], uniforms: "rows : i32, width : i32,", shaderKey: "deft_scatter_add", code: SCATTER_ADD });
  return backend.runWebGPUProgram(add, [ids, dy], "float32", [{ type: "int32", data: [rows] }, { type: "int32", data: [width] }]);
};

/** tfjs's own softmax starts its maximum at −3.402823e38, above finfo.min, and gives NaN for a row of masked scores. */
const softmax: Kernel = (backend, inputs) => {
  const x = inputs["logits"] as tf.TensorInfo;
  const run = (kernel: string, given: Inputs, attrs: Readonly<Record<string, unknown>> = {}): tf.TensorInfo =>
    (tf.getKernel(kernel, NAME).kernelFunc as (call: unknown) => tf.TensorInfo)({ inputs: given, backend, attrs });
  const last = x.shape.length - 1;
  const top = run("Max", { x }, { reductionIndices: last, keepDims: true });
  const below = run("Sub", { a: x, b: top });
  const powers = run("Exp", { x: below });
  const sum = run("Sum", { x: powers }, { axis: last, keepDims: true });
  const y = run("RealDiv", { a: powers, b: sum });
  for (const { dataId } of [top, below, powers, sum]) backend.disposeData(dataId);
  return y;
};

const KERNELS: Readonly<Record<string, Kernel>> = { DeftDropout: dropout, DeftScatterAdd: scatterAdd, Softmax: softmax };

/** Registers for `webgpu` what tfjs lacks there or gets wrong. */
export function registerKernels(tools: ProgramTools): void {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    if (tf.getKernel(kernelName, NAME) !== undefined) tf.unregisterKernel(kernelName, NAME);
    tf.registerKernel({
      kernelName,
      backendName: NAME,
      kernelFunc: ({ inputs, backend, attrs }) => kernel(backend as Backend, inputs as Inputs, (attrs ?? {}) as Record<string, unknown>, tools),
    });
  }
}
