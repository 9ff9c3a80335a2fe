/** The most workgroups along one axis that WebGPU promises. */
export const MOST_WORKGROUPS = 65535;
/** Invocations of a workgroup of `perElement`. */
const ELEMENTS = 256;
/** Invocations of a workgroup of `perRow`. */
const LANES = 128;

/** n workgroups in two axes, as the limit wants it; the program finds its number as y·(groups along x) + x. */
export function folded(n: number): [x: number, y: number, z: number] {
  return n <= MOST_WORKGROUPS ? [n, 1, 1] : [MOST_WORKGROUPS, Math.ceil(n / MOST_WORKGROUPS), 1];
}

const BUILTINS = "@builtin(workgroup_id) group : vec3u, @builtin(num_workgroups) groups : vec3u, @builtin(local_invocation_index) lane : u32";

/** A program of one invocation for each of `numbers.size` elements: `body` knows its number as `i`. */
export function perElement(body: string, functions = ""): string {
  return /* wgsl */ `
${functions}
@compute @workgroup_size(${ELEMENTS})
fn main(${BUILTINS}) {
  let i = (group.y * groups.x + group.x) * ${ELEMENTS}u + lane;
  if (i >= numbers.size) { return; }
  ${body}
}`;
}

/** The workgroups of `perElement`. */
export function elementGroups(size: number): [x: number, y: number, z: number] {
  return folded(Math.ceil(size / ELEMENTS));
}

/**
 * A program of one workgroup for each of `numbers.rows` rows: `body` knows the `row` and its `lane`, goes over columns as lane, lane + LANES, …, and adds up or compares
 * what the lanes have found by `total(lane, value)` and `largest(lane, value)`, always in the same order.
 */
export function perRow(body: string, functions = ""): string {
  return /* wgsl */ `
const LANES = ${LANES}u;
var<workgroup> lane_values : array<f32, LANES>;
fn total(lane : u32, value : f32) -> f32 {
  lane_values[lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { lane_values[lane] += lane_values[lane + half]; }
  }
  return workgroupUniformLoad(&lane_values[0]);
}
fn largest(lane : u32, value : f32) -> f32 {
  lane_values[lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { lane_values[lane] = max(lane_values[lane], lane_values[lane + half]); }
  }
  return workgroupUniformLoad(&lane_values[0]);
}
${functions}
@compute @workgroup_size(LANES)
fn main(${BUILTINS}) {
  let row = group.y * groups.x + group.x;
  if (row >= numbers.rows) { return; }
  ${body}
}`;
}

/** The loop of `perRow` over the columns of its row in a matrix with `numbers.n` of them: `body` knows the `column`, and the element's number as `i`. */
export const eachColumn = (body: string): string => `for (var column = lane; column < numbers.n; column += LANES) { let i = row * numbers.n + column; ${body} }`;

/** The workgroups of `perRow`. */
export const rowGroups = folded;

/** One of two pieces of a program, or nothing. */
export function when(condition: boolean, piece: string, otherwise = ""): string {
  return condition ? piece : otherwise;
}

/** `keeps(index)` and `factor()` of dropout: the bits of `randomBits` in @deft-js/tensor. `numbers` has `seed`, `threshold` and `factor`, see `dropoutNumbers`. */
export const DROPOUT = /* wgsl */ `
fn mix32(bits : u32) -> u32 {
  var h = bits;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}
fn kept(index : u32) -> f32 {
  let drawn = mix32(mix32(index * 0x9e3779b1u + numbers.seed) ^ numbers.seed);
  return select(0.0, numbers.factor, (drawn >> 8u) >= numbers.threshold);
}`;

/** What `DROPOUT` reads. The probability comes as a whole number of 2⁻²⁴, so that the comparison is exact. */
export function dropoutNumbers(probability: number, seed: number): { readonly integers: { seed: number; threshold: number }; readonly floats: { factor: number } } {
  return { integers: { seed, threshold: Math.ceil(probability * 2 ** 24) }, floats: { factor: 1 / (1 - probability) } };
}
