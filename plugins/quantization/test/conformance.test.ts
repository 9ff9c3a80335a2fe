import { weightFormatChecks } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { bitsandbytesLayout, fp4, int8, nf4 } from "../src/index.ts";

const blocks = (dOut: number, dIn: number): number => Math.ceil((dOut * dIn) / 64);
const packed = (dOut: number, dIn: number): number => Math.ceil((dOut * dIn) / 2) + 16 * 4;
/** Half the largest gap between neighbours of the codebook. */
const [NF4_ERROR, FP4_ERROR] = [0.1520, 0.1667];
/** Double quantization moves scales by up to half a step of the dynamic map, 0.7 % of the largest deviation from their mean. */
const SCALES = 0.02;

describe("nf4", () => {
  for (const check of weightFormatChecks({ format: () => nf4(), error: NF4_ERROR + SCALES, bytes: (o, i) => packed(o, i) + blocks(o, i) + Math.ceil(blocks(o, i) / 256) * 4 + 256 * 4, layout: bitsandbytesLayout })) it(check.name, check.run);
});

describe("nf4 without double quantization", () => {
  for (const check of weightFormatChecks({ format: () => nf4({ doubleQuantization: false, blockSize: 128 }), error: NF4_ERROR, bytes: (o, i) => packed(o, i) + blocks(o, i) * 4, layout: bitsandbytesLayout })) it(check.name, check.run);
});

describe("fp4", () => {
  for (const check of weightFormatChecks({ format: () => fp4({ doubleQuantization: false }), error: FP4_ERROR, bytes: (o, i) => packed(o, i) + blocks(o, i) * 4, layout: bitsandbytesLayout })) it(check.name, check.run);
});

describe("int8", () => {
  for (const check of weightFormatChecks({ format: () => int8(), error: 0.5 / 127 + 1e-6, bytes: (o, i) => o * i + o * 4, layout: bitsandbytesLayout })) it(check.name, check.run);
});

describe("int8 with one scale", () => {
  for (const check of weightFormatChecks({ format: () => int8({ scale: "matrix" }), error: 0.5 / 127 + 1e-6, bytes: (o, i) => o * i + 4 })) it(check.name, check.run);
});
