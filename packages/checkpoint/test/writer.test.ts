import { readdir, readFile, writeFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { NamedArray } from "@deft-js/core";
import { openSafetensors, readSafetensors, writeSafetensors } from "../src/index.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();

function tensor(name: string, shape: number[], values: number[]): NamedArray {
  return { name, shape, values: new Float32Array(values) };
}

test("the bytes are those that the format's description gives", async () => {
  const path = folder.path("bytes.safetensors");
  await writeSafetensors(path, [tensor("b", [1], [2]), tensor("a", [2], [1, -1])]);
  const json = '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}';
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
  const bytes = await readFile(path);
  expect(bytes.readBigUInt64LE(0)).toBe(BigInt(padded.length));
  expect(bytes.subarray(8, 8 + padded.length).toString()).toBe(padded);
  expect([...bytes.subarray(8 + padded.length)]).toEqual([0, 0, 128, 63, 0, 0, 128, 191, 0, 0, 0, 64]);
});

test("raw dtypes are kept, wider ones first", async () => {
  const path = folder.path("raw.safetensors");
  const bytes = { name: "a", dtype: "U8" as const, shape: [3], bytes: new Uint8Array([1, 2, 3]) };
  const half = { name: "z", dtype: "BF16" as const, shape: [1], bytes: new Uint8Array([0x80, 0x3f]) };
  await writeSafetensors(path, [bytes, half, tensor("m", [], [4])], { metadata: {} });
  const file = await openSafetensors(path);
  expect(file.names()).toEqual(["m", "z", "a"]);
  expect(file.metadata).toEqual({});
  expect(await file.readRaw("a")).toEqual(bytes);
  expect(await file.read("z")).toEqual(new Float32Array([1]));
});

test("values that are a view are written as the view", async () => {
  const path = folder.path("view.safetensors");
  await writeSafetensors(path, [{ name: "x", shape: [2], values: new Float32Array([1, 2, 3, 4]).subarray(1, 3) }]);
  expect(await (await openSafetensors(path)).read("x")).toEqual(new Float32Array([2, 3]));
});

test("each tensor's values are asked for once, one after the other", async () => {
  const asked: string[] = [];
  const lazy = (name: string): NamedArray => ({
    name,
    shape: [1],
    get values() {
      asked.push(name);
      return new Float32Array([asked.length]);
    },
  });
  await writeSafetensors(folder.path("lazy.safetensors"), [lazy("q"), lazy("p")]);
  expect(asked).toEqual(["p", "q"]);
});

test("a write that fails leaves the earlier file and nothing else", async () => {
  const path = folder.path("kept", "x.safetensors");
  await writeSafetensors(path, [tensor("x", [1], [1])]);
  await expectCode(writeSafetensors(path, [tensor("x", [2], [1])]), "safetensors.shape");
  expect(await readdir(folder.path("kept"))).toEqual(["x.safetensors"]);
  expect(await (await openSafetensors(path)).read("x")).toEqual(new Float32Array([1]));
});

test("what a killed writer left does not disturb the next", async () => {
  const path = folder.path("stale.safetensors");
  await writeFile(folder.path(".stale.safetensors.partial"), new Uint8Array(5000));
  await writeSafetensors(path, [tensor("x", [1], [1])]);
  expect(await (await openSafetensors(path)).read("x")).toEqual(new Float32Array([1]));
});

test("names, dtypes and shapes are checked before anything is written", async () => {
  const path = folder.path("refused", "x.safetensors");
  await expectCode(writeSafetensors(path, [tensor("x", [1], [1]), tensor("x", [1], [1])]), "safetensors.duplicate");
  await expectCode(writeSafetensors(path, [tensor("__metadata__", [1], [1])]), "safetensors.name");
  await expectCode(writeSafetensors(path, [tensor("\ud800", [1], [1])]), "safetensors.name");
  await expectCode(writeSafetensors(path, [tensor("x", [-1], [1])]), "safetensors.shape");
  await expectCode(writeSafetensors(path, [{ name: "x", dtype: "F4" as "U8", shape: [1], bytes: new Uint8Array(1) }]), "safetensors.dtype");
  await expectCode(writeSafetensors(path, [], { metadata: { x: "y".repeat(100_000_000) } }), "safetensors.header");
  await expect(readdir(folder.path("refused"))).rejects.toThrow("ENOENT");
});

test("whatever is written is read back bit for bit", async () => {
  const path = folder.path("property.safetensors");
  const values = fc.float32Array({ maxLength: 20 });
  const names = fc.string({ unit: "binary" }).filter((name) => name !== "__metadata__" && !/\p{Surrogate}/u.test(name));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(names, values), { maxLength: 6 }), fc.dictionary(fc.string(), fc.string()), async (pairs, metadata) => {
      const tensors = new Map(pairs.map(([name, data]) => [name, { name, shape: [1, data.length], values: data }]));
      await writeSafetensors(path, tensors.values(), { metadata });
      const back = await readSafetensors(path);
      expect(new Map([...back.tensors].sort())).toEqual(new Map([...tensors].sort()));
      expect(Object.entries(back.metadata).sort()).toEqual(Object.entries(metadata).sort());
    }),
    { numRuns: 60 },
  );
});
