import type { tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import type { Bound } from "../programs.ts";
import { perElement, elementGroups, when } from "../wgsl.ts";
import { activationWgsl, derivesFromOutput, type Activation } from "./activation-wgsl.ts";

/** A matrix, or one for each example and head, inside a tensor. Strides and offsets count elements. */
export interface Matrix {
  readonly tensor: tf.TensorInfo;
  /** From a row to the next. */
  readonly stride: number;
  /** From an example to the next. */
  readonly outer?: number;
  /** From a head to the next. */
  readonly inner?: number;
  /** Of the first element. */
  readonly base?: number;
}

/** An operand, which the product may take transposed. */
export interface Operand extends Matrix {
  readonly transposed: boolean;
}

/** What is done to a sum before it is written: pre = alpha·sum + bias + added, y = f(pre). */
export interface Epilogue {
  readonly activation?: Activation;
  readonly bias?: tf.TensorInfo | undefined;
  /** Of y's shape; `onto`: what y's memory holds. */
  readonly added?: tf.TensorInfo | "onto" | undefined;
  /** Takes pre, or f′ there. */
  readonly saved?: { readonly tensor: tf.TensorInfo; readonly as: "pre" | "slope" } | undefined;
}

/** y = epilogue(a·b), [m, n] from [m, k] and [k, n]. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Operand;
  readonly b: Operand;
  readonly y: Matrix;
  readonly alpha?: number;
  readonly epilogue?: Epilogue;
  /** Matrices: examples times heads. */
  readonly count?: number;
  readonly heads?: number;
}

/** A workgroup's 16×16 invocations compute a square of 16·`each` rows and columns, `depth` products at a time. */
interface Tile {
  readonly each: 4 | 8;
  readonly depth: number;
}

const LARGE: Tile = { each: 8, depth: 8 };
const SMALL: Tile = { each: 4, depth: 16 };

/** Workgroups that fill a GPU: with fewer large tiles small ones are taken, and with fewer small ones the inner axis is split. */
const LARGE_TILES = 96;
const SMALL_TILES = 64;
/** The shortest part of an inner axis that is split, and the most workgroups that splitting makes. */
const SHORTEST = 128;
const SPLIT_TILES = 256;

const tilesOf = ({ m, n, count = 1 }: Product, { each }: Tile): number => Math.ceil(m / (16 * each)) * Math.ceil(n / (16 * each)) * count;

/** Large tiles do more with what they fetch; small ones where large would be half empty, or too few. */
function tileOf(product: Product): Tile {
  const full = product.m > 16 * SMALL.each && product.n > 16 * SMALL.each;
  return full && tilesOf(product, LARGE) >= LARGE_TILES ? LARGE : SMALL;
}

/** Into how many parts the inner axis is split; the same for a shape always, so that sums are the same each time. */
function partsOf(product: Product): number {
  const tiles = tilesOf(product, SMALL);
  if (product.count !== undefined || tiles >= SMALL_TILES || product.k < 4 * SHORTEST) return 1;
  return Math.min(Math.ceil(SPLIT_TILES / tiles), Math.ceil(product.k / SHORTEST));
}

/** Computes a product by tiles in workgroup memory, in one launch; in two where few tiles have a long inner axis. */
export function multiply(compute: Compute, product: Product): void {
  const { m, n } = product;
  if (m * n === 0) return;
  const parts = partsOf(product);
  if (parts === 1) return launch(compute, product, tileOf(product), product.count ?? 1, product.k);
  const partial = compute.make([parts, m, n]);
  const { a, b, k } = product;
  const sliced: Product = { m, n, k, a, b, y: { tensor: partial, stride: n, outer: m * n } };
  launch(compute, sliced, SMALL, parts, Math.ceil(k / parts));
  join(compute, product, partial, parts);
  compute.free(partial);
}

function launch(compute: Compute, product: Product, tile: Tile, layers: number, part: number): void {
  const { m, n, k, a, b, y, alpha = 1, epilogue = {}, heads = 1 } = product;
  const split = part !== k;
  const side = 16 * tile.each;
  const { reads, writes } = epilogueBound(epilogue, y.tensor);
  compute.run({
    program: `product ${tile.each}${when(a.transposed, " aᵀ")}${when(b.transposed, " bᵀ")}${when(split, " split")}${epilogueKey(epilogue)}`,
    code: () => tiled(tile, { transposeA: a.transposed, transposeB: b.transposed, split, epilogue }),
    reads: { a: a.tensor, b: b.tensor, ...reads },
    writes,
    numbers: { integers: { m, n, k, part, heads, ...places("a", a), ...places("b", b), ...places("y", y) }, floats: { alpha } },
    workgroups: [Math.ceil(n / side), Math.ceil(m / side), layers],
  });
}

const places = (name: string, { stride, outer = 0, inner = 0, base = 0 }: Matrix): Record<string, number> => ({ [`${name}_stride`]: stride, [`${name}_outer`]: outer, [`${name}_inner`]: inner, [`${name}_base`]: base });

/** Adds the parts of a split product up. */
function join(compute: Compute, { m, n, y, alpha = 1, epilogue = {} }: Product, partial: tf.TensorInfo, parts: number): void {
  const { reads, writes } = epilogueBound(epilogue, y.tensor);
  compute.run({
    program: `product parts${epilogueKey(epilogue)}`,
    code: () => perElement(`
  var sum = 0.0;
  for (var part = 0u; part < numbers.parts; part++) { sum += partial[part * numbers.size + i]; }
  finish(i, i % numbers.n, sum);`, epilogueWgsl(epilogue)),
    reads: { partial, ...reads },
    writes,
    numbers: { integers: { size: m * n, n, parts }, floats: { alpha } },
    workgroups: elementGroups(m * n),
  });
}

function epilogueBound({ bias, added, saved }: Epilogue, y: tf.TensorInfo): { reads: Bound; writes: Bound } {
  return {
    reads: { ...(bias === undefined ? {} : { bias }), ...(added === undefined || added === "onto" ? {} : { added }) },
    writes: saved === undefined ? { y } : { y, saved: saved.tensor },
  };
}

const epilogueKey = ({ activation = "identity", added, saved }: Epilogue): string => ` ${activation}${when(added === "onto", " onto")}${when(saved !== undefined, ` ${saved?.as}`)}`;

/** `finish(at, column, sum)` writes one element of y. */
function epilogueWgsl({ activation = "identity", bias, added, saved }: Epilogue): string {
  return /* wgsl */ `${activationWgsl(activation)}
fn finish(at : u32, column : u32, sum : f32) {
  let pre = numbers.alpha * sum${when(bias !== undefined, " + bias[column]")}${added === undefined ? "" : added === "onto" ? " + y[at]" : " + added[at]"};
  let value = activate(pre);
  y[at] = value;
  ${saved === undefined ? "" : `saved[at] = ${saved.as === "pre" ? "pre" : `slope_of(${derivesFromOutput(activation) ? "value" : "pre"})`};`}
}`;
}

interface TiledForm {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly split: boolean;
  readonly epilogue: Epilogue;
}

/** `load_a(offset, first, inner, end)`: four neighbours across the inner axis at place `inner` of it, zeros beyond the edges. */
function loader(name: "a" | "b", acrossStride: boolean): string {
  const [across, size] = name === "a" ? ["row", "numbers.m"] : ["column", "numbers.n"];
  const step = acrossStride ? `numbers.${name}_stride` : "1u";
  const start = acrossStride ? `${across} * numbers.${name}_stride + inner` : `inner * numbers.${name}_stride + ${across}`;
  return /* wgsl */ `
fn load_${name}(offset : u32, ${across} : u32, inner : u32, end : u32) -> vec4f {
  var four = vec4f();
  if (inner >= end || ${across} >= ${size}) { return four; }
  let at = offset + ${start};
  if (${across} + 3u < ${size}) { return vec4f(${name}[at], ${name}[at + ${step}], ${name}[at + 2u * ${step}], ${name}[at + 3u * ${step}]); }
  four.x = ${name}[at];
  if (${across} + 1u < ${size}) { four.y = ${name}[at + ${step}]; }
  if (${across} + 2u < ${size}) { four.z = ${name}[at + 2u * ${step}]; }
  return four;
}`;
}

/** Which four a lane fetches, as [number of the four, place along the inner axis]: neighbouring lanes read neighbouring memory. */
const fetched = (alongInner: boolean, { each, depth }: Tile): string => (alongInner ? `vec2u(lane / ${depth}u, lane % ${depth}u)` : `vec2u(lane % ${4 * each}u, lane / ${4 * each}u)`);

/**
 * Tiles of a and b stand in workgroup memory as fours across the inner axis, one row of them for each place along it, padded against bank conflicts. An invocation has the rows
 * 4·ty + 64·h + 0…3 and the columns 4·tx + 64·h + 0…3 of its tile; what the next step needs is fetched while this one is computed.
 */
function tiled(tile: Tile, { transposeA, transposeB, split, epilogue }: TiledForm): string {
  const { each, depth } = tile;
  const halves = each / 4;
  const side = 16 * each;
  const sums = Array.from({ length: each * halves }, (_, at) => ({ name: `sum${at}`, row: Math.floor(at / halves), half: at % halves }));
  const layer = split ? "0u, 0u" : "layer / numbers.heads, layer % numbers.heads";
  return /* wgsl */ `
const SIDE = ${side}u;
const DEPTH = ${depth}u;
var<workgroup> tile_a : array<array<vec4f, ${side / 4 + 1}>, DEPTH>;
var<workgroup> tile_b : array<array<vec4f, ${side / 4 + 1}>, DEPTH>;
${loader("a", !transposeA)}
${loader("b", transposeB)}
${epilogueWgsl(epilogue)}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group : vec3u, @builtin(local_invocation_index) lane : u32) {
  let layer = group.z;
  let place = vec2u(${layer});
  let offset_a = numbers.a_base + place.x * numbers.a_outer + place.y * numbers.a_inner;
  let offset_b = numbers.b_base + place.x * numbers.b_outer + place.y * numbers.b_inner;
  let offset_y = numbers.y_base + ${split ? "layer * numbers.y_outer" : "place.x * numbers.y_outer + place.y * numbers.y_inner"};
  let begin = ${split ? "layer * numbers.part" : "0u"};
  let end = min(begin + numbers.part, numbers.k);
  let first_row = group.y * SIDE;
  let first_column = group.x * SIDE;
  let at_a = ${fetched(!transposeA, tile)};
  let at_b = ${fetched(transposeB, tile)};
  let tx = lane % 16u;
  let ty = lane / 16u;
  ${sums.map(({ name }) => `var ${name} = vec4f();`).join(" ")}
  var next_a = load_a(offset_a, first_row + 4u * at_a.x, begin + at_a.y, end);
  var next_b = load_b(offset_b, first_column + 4u * at_b.x, begin + at_b.y, end);
  for (var step = begin; step < end; step += DEPTH) {
    tile_a[at_a.y][at_a.x] = next_a;
    tile_b[at_b.y][at_b.x] = next_b;
    workgroupBarrier();
    next_a = load_a(offset_a, first_row + 4u * at_a.x, step + DEPTH + at_a.y, end);
    next_b = load_b(offset_b, first_column + 4u * at_b.x, step + DEPTH + at_b.y, end);
    for (var inner = 0u; inner < DEPTH; inner++) {
      ${Array.from({ length: halves }, (_, h) => `let a${h} = tile_a[inner][ty + ${16 * h}u]; let b${h} = tile_b[inner][tx + ${16 * h}u];`).join(" ")}
      ${sums.map(({ name, row, half }) => `${name} = fma(vec4f(a${Math.floor(row / 4)}[${row % 4}]), b${half}, ${name});`).join("\n      ")}
    }
    workgroupBarrier();
  }
  var sums = array<vec4f, ${sums.length}>(${sums.map(({ name }) => name).join(", ")});
  for (var s = 0u; s < ${sums.length}u; s++) {
    let r = s / ${halves}u;
    let row = first_row + 64u * (r / 4u) + 4u * ty + r % 4u;
    let four = sums[s];
    for (var c = 0u; c < 4u; c++) {
      let column = first_column + 64u * (s % ${halves}u) + 4u * tx + c;
      if (row < numbers.m && column < numbers.n) { finish(offset_y + row * numbers.y_stride + column, column, four[c]); }
    }
  }
}`;
}
