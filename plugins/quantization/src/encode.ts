import type { ops } from "@deft-js/core";
import type { Codebook4 } from "./codebooks.ts";
import { DYNAMIC_MAP } from "./dynamic-map.ts";
import { float32Mean } from "./float32-mean.ts";

const fround = Math.fround;

/** How many scales share one scale of their own. */
const SCALES_BLOCK = 256;

/** The largest |value| of each block of the flat matrix; NaN where a block holds one. */
export function blockMaxima(values: Float32Array, blockSize: number): Float32Array {
  const maxima = new Float32Array(Math.ceil(values.length / blockSize));
  for (let block = 0; block < maxima.length; block++) {
    const end = Math.min(values.length, (block + 1) * blockSize);
    let most = 0;
    for (let i = block * blockSize; i < end; i++) {
      const size = Math.abs(values[i] as number);
      if (size > most || size !== size) most = size;
    }
    maxima[block] = most;
  }
  return maxima;
}

/** 1/max in float32; 0 for a block of zeros, so that its values stay 0. */
const inverse = (max: number): number => (max === 0 ? 0 : fround(1 / max));

/** Two codes a byte, the first in the high half; code of value·(1/max of its block), rounded as float32. */
export function encodePairs(values: Float32Array, maxima: Float32Array, blockSize: number, { encode }: Codebook4): Uint8Array {
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  if (values.length % 2 === 1) codes[codes.length - 1] = encode(0); // what fills the last byte is a zero, too
  for (const [block, max] of maxima.entries()) {
    const factor = inverse(max);
    const end = Math.min(values.length, (block + 1) * blockSize);
    for (let i = block * blockSize; i < end; i++) {
      const code = encode(fround((values[i] as number) * factor));
      codes[i >> 1] = (codes[i >> 1] as number) | ((i & 1) === 0 ? code << 4 : code);
    }
  }
  return codes;
}

/** round(value·(127/max of its block)), halves to even, in two's complement. */
export function encodeBytes(values: Float32Array, maxima: Float32Array, blockSize: number): Uint8Array {
  const codes = new Int8Array(values.length);
  for (const [block, max] of maxima.entries()) {
    const factor = max === 0 ? 0 : fround(127 / max);
    const end = Math.min(values.length, (block + 1) * blockSize);
    for (let i = block * blockSize; i < end; i++) codes[i] = halfToEven(fround((values[i] as number) * factor));
  }
  return new Uint8Array(codes.buffer);
}

function halfToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/**
 * Double quantization (arXiv:2305.14314, section 3): the scales less their mean, in 8 bits of the dynamic map, in blocks of 256 with a float32 scale each.
 */
export function quantizeScales(scales: Float32Array): ops.BlockScales {
  const offset = float32Mean(scales);
  const centred = scales.map((scale) => scale - offset);
  const outer = blockMaxima(centred, SCALES_BLOCK);
  const codes = new Uint8Array(scales.length);
  for (const [i, value] of centred.entries()) codes[i] = nearest(fround(value * inverse(outer[Math.floor(i / SCALES_BLOCK)] as number)));
  return { codes, codebook: DYNAMIC_MAP, blockSize: SCALES_BLOCK, scales: outer, offset };
}

/** The index of the nearest value of the dynamic map; the lower of two that are equally near. */
function nearest(value: number): number {
  let [low, high] = [0, DYNAMIC_MAP.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((DYNAMIC_MAP[middle] as number) <= value) low = middle;
    else high = middle;
  }
  return fround(value - (DYNAMIC_MAP[low] as number)) <= fround((DYNAMIC_MAP[high] as number) - value) ? low : high;
}
