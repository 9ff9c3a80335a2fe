import { open, rename, truncate, utimes, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { openSafetensors, readSafetensors, writeSafetensors } from "../src/index.ts";
import type { Dtype } from "../src/index.ts";
import { expectCode, fileBytes, temporaryFolder, writeBytes } from "./support.ts";

const folder = temporaryFolder();

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

async function readOne(dtype: Dtype, data: Uint8Array, count: number): Promise<number[]> {
  const header = JSON.stringify({ x: { dtype, shape: [count], data_offsets: [0, data.byteLength] } });
  const file = await openSafetensors(await writeBytes(folder, fileBytes(header, data)));
  return [...(await file.read("x"))];
}

test("float32 values are read where the header says, with shapes, names and metadata", async () => {
  const header = '{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[],"data_offsets":[16,20]},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}  ';
  const data = bytesOf(new Float32Array([1, -2.5, 3, 4, 7]));
  const file = await openSafetensors(await writeBytes(folder, fileBytes(header, data)));
  expect(file.names()).toEqual(["a", "b"]);
  expect(file.shape("a")).toEqual([2, 2]);
  expect(file.shape("b")).toEqual([]);
  expect(file.metadata).toEqual({ format: "pt" });
  expect(await file.read("a")).toEqual(new Float32Array([1, -2.5, 3, 4]));
  expect(await file.read("b")).toEqual(new Float32Array([7]));
  expect(file.info("b")).toEqual({ name: "b", dtype: "F32", shape: [], offset: 8 + header.length + 16, bytes: 4 });
  await expectCode(Promise.resolve().then(() => file.read("c")), "checkpoint.missing");
});

test("float16 is exact: normal, subnormal, both zeros, infinities, NaN", async () => {
  const bits = new Uint16Array([0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x0000, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x3555]);
  expect(await readOne("F16", bytesOf(bits), 12)).toEqual([1, -2, 65504, 2 ** -14, 2 ** -24, 1023 * 2 ** -24, 0, -0, Infinity, -Infinity, NaN, 1365 * 2 ** -12]);
});

test("bfloat16 is the upper half of float32", async () => {
  const bits = new Uint16Array([0x3f80, 0xc000, 0x4049, 0x8000, 0x7f80, 0x0001]);
  expect(await readOne("BF16", bytesOf(bits), 6)).toEqual([1, -2, 3.140625, -0, Infinity, Math.fround(2 ** -133)]);
});

test("other dtypes become float32, rounded to nearest", async () => {
  expect(await readOne("F64", bytesOf(new Float64Array([0.1, 2, 1e300])), 3)).toEqual([Math.fround(0.1), 2, Infinity]);
  expect(await readOne("I64", bytesOf(new BigInt64Array([-3n, 16777217n])), 2)).toEqual([-3, 16777216]);
  expect(await readOne("U64", bytesOf(new BigUint64Array([2n ** 63n])), 1)).toEqual([2 ** 63]);
  expect(await readOne("I32", bytesOf(new Int32Array([-5, 7])), 2)).toEqual([-5, 7]);
  expect(await readOne("U32", bytesOf(new Uint32Array([2 ** 31])), 1)).toEqual([2 ** 31]);
  expect(await readOne("I16", bytesOf(new Int16Array([-6])), 1)).toEqual([-6]);
  expect(await readOne("U16", bytesOf(new Uint16Array([65535])), 1)).toEqual([65535]);
  expect(await readOne("I8", bytesOf(new Int8Array([-7, 1])), 2)).toEqual([-7, 1]);
  expect(await readOne("U8", new Uint8Array([255]), 1)).toEqual([255]);
  expect(await readOne("BOOL", new Uint8Array([0, 1]), 2)).toEqual([0, 1]);
});

test("a tensor of several chunks is converted whole", async () => {
  const count = (1 << 21) + 5;
  const bits = Uint16Array.from({ length: count }, (_, index) => (index % 3 === 0 ? 0x3c00 : 0xc000));
  const values = await readOne("F16", bytesOf(bits), count);
  expect(values.length).toBe(count);
  expect(values.every((value, index) => value === (index % 3 === 0 ? 1 : -2))).toBe(true);
});

test("8-bit floats are given raw and refused as float32", async () => {
  const header = '{"x":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}}';
  const file = await openSafetensors(await writeBytes(folder, fileBytes(header, new Uint8Array([1, 2, 3]))));
  expect(await file.readRaw("x")).toEqual({ name: "x", dtype: "F8_E4M3", shape: [3], bytes: new Uint8Array([1, 2, 3]) });
  await expectCode(file.read("x"), "safetensors.dtype");
});

test("a tensor beyond 4 GiB is read by its position, without the bytes before it", async () => {
  const before = 5 * 2 ** 30;
  const header = JSON.stringify({ big: { dtype: "U8", shape: [before], data_offsets: [0, before] }, x: { dtype: "F32", shape: [2], data_offsets: [before, before + 8] } });
  const path = await writeBytes(folder, fileBytes(header));
  await truncate(path, 8 + header.length + before + 8); // sparse
  const handle = await open(path, "r+");
  await handle.write(bytesOf(new Float32Array([1.5, -1.5])), 0, 8, 8 + header.length + before);
  await handle.close();
  expect(await (await openSafetensors(path)).read("x")).toEqual(new Float32Array([1.5, -1.5]));
  await truncate(path, 0);
});

test("a file that changed since it was opened is not read", async () => {
  const path = folder.path("changing.safetensors");
  await writeSafetensors(path, [{ name: "x", shape: [1], values: new Float32Array([1]) }]);
  const file = await openSafetensors(path);
  expect(await file.read("x")).toEqual(new Float32Array([1]));
  await writeSafetensors(path, [{ name: "x", shape: [1], values: new Float32Array([2]) }]);
  await utimes(path, 1, 1);
  await expectCode(file.read("x"), "safetensors.changed");
  await rename(path, folder.path("gone.safetensors"));
  await expectCode(file.read("x"), "checkpoint.missing");
});

test("what is no file is named", async () => {
  await expectCode(openSafetensors(folder.path("absent")), "checkpoint.missing");
  await expectCode(openSafetensors(folder.path()), "checkpoint.unreadable");
  await writeFile(folder.path("empty"), "");
  await expectCode(readSafetensors(folder.path("empty")), "safetensors.truncated");
});
