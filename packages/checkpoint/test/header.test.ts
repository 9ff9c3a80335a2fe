import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeftError } from "@deft-js/core";
import { openSafetensors } from "../src/index.ts";
import { headerLength, parseHeader } from "../src/safetensors/header.ts";
import { expectCode, fileBytes, temporaryFolder, writeBytes } from "./support.ts";

const folder = temporaryFolder();
const encoder = new TextEncoder();

async function messageOf(bytes: Uint8Array, code: string): Promise<string> {
  return (await expectCode(openSafetensors(await writeBytes(folder, bytes)), code)).message;
}

async function codeOf(bytes: Uint8Array, code: string): Promise<void> {
  await messageOf(bytes, code);
}

function entry(over: Record<string, unknown> = {}): Record<string, unknown> {
  return { dtype: "F32", shape: [2], data_offsets: [0, 8], ...over };
}

function withEntry(over: Record<string, unknown>): Uint8Array {
  return fileBytes(JSON.stringify({ x: entry(over) }), new Uint8Array(8));
}

describe("a malformed file is refused by its own code", () => {
  test("a header that claims 2^60 bytes", async () => {
    expect(await messageOf(fileBytes("{}", undefined, 2n ** 60n), "safetensors.header")).toContain("1152921504606846976");
  });
  test("a header longer than the file", () => codeOf(fileBytes("{}", undefined, 99n), "safetensors.truncated"));
  test("fewer than eight bytes", () => codeOf(new Uint8Array(7), "safetensors.truncated"));
  test("a file cut off within the data", () => codeOf(withEntry({}).subarray(0, -1), "safetensors.truncated"));
  test("bytes after the data", () => codeOf(fileBytes(JSON.stringify({ x: entry() }), new Uint8Array(9)), "safetensors.offsets"));
  test("not UTF-8", () => codeOf(fileBytes(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), "safetensors.header"));
  test("a byte order mark", () => codeOf(fileBytes("\ufeff{}"), "safetensors.header"));
  test("not JSON", () => codeOf(fileBytes("{nope"), "safetensors.header"));
  test("not an object", () => codeOf(fileBytes("[1]"), "safetensors.header"));
  test("a million brackets", () => codeOf(fileBytes(`{"x":${"[".repeat(1e6)}${"]".repeat(1e6)}}`), "safetensors.header"));
  test("a duplicate key", async () => {
    const one = JSON.stringify(entry());
    expect(await messageOf(fileBytes(`{"x":${one},"x":${one}}`, new Uint8Array(8)), "safetensors.header")).toContain("twice");
  });
  test("a duplicate key spelt with an escape", async () => {
    const one = JSON.stringify(entry());
    expect(await messageOf(fileBytes(`{"x":${one},"\\u0078":${one}}`, new Uint8Array(8)), "safetensors.header")).toContain("twice");
  });
  test("a duplicate key within an entry", () =>
    codeOf(fileBytes('{"x":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}', new Uint8Array(8)), "safetensors.header"));
  test("metadata that are not strings", () => codeOf(fileBytes('{"__metadata__":{"a":1}}'), "safetensors.header"));
  test("an entry that is no object", () => codeOf(fileBytes('{"x":3}'), "safetensors.header"));
  test("a name that UTF-8 cannot hold", () => codeOf(fileBytes(`{"\\ud800":${JSON.stringify(entry())}}`, new Uint8Array(8)), "safetensors.name"));
  test.each([["F4"], ["f32"], ["constructor"], [null], [undefined], [3]])("dtype %j", (dtype) => codeOf(withEntry({ dtype }), "safetensors.dtype"));
  test.each([[[-2]], [[1.5]], [["2"]], [null], ["2"], [{}], [Array(33).fill(1)], [[2 ** 53]], [[2 ** 30, 2 ** 30]]])(
    "shape %j",
    (shape) => codeOf(withEntry({ shape }), "safetensors.shape"),
  );
  test.each([[[8, 0]], [[-8, 0]], [[0]], [[0, 8, 8]], [[0.5, 8.5]], [null], ["0,8"], [[0, 2 ** 60]], [[0, 4]], [[4, 8]], [[1, 9]]])("data_offsets %j", (offsets) =>
    codeOf(withEntry({ data_offsets: offsets }), "safetensors.offsets"),
  );
  test("a gap", () => codeOf(fileBytes(JSON.stringify({ x: entry(), y: entry({ data_offsets: [9, 17] }) }), new Uint8Array(17)), "safetensors.offsets"));
  test("an overlap", () => codeOf(fileBytes(JSON.stringify({ x: entry(), y: entry({ data_offsets: [4, 12] }) }), new Uint8Array(12)), "safetensors.offsets"));
  test("data that are not there", () => codeOf(fileBytes(JSON.stringify({ x: entry({ shape: [2 ** 40], data_offsets: [0, 2 ** 42] }) })), "safetensors.truncated"));
});

test("unusual names and empty tensors are fine", async () => {
  const header = `{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"constructor":{"dtype":"U8","shape":[0,3],"data_offsets":[4,4]},"\\"}{:[,":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}`;
  const file = await openSafetensors(await writeBytes(folder, fileBytes(header, new Uint8Array([0, 0, 128, 63, 9]))));
  expect([...file.names()].sort()).toEqual(['"}{:[,', "__proto__", "constructor"]);
  expect(await file.read("__proto__")).toEqual(new Float32Array([1]));
  expect(await file.read("constructor")).toEqual(new Float32Array(0));
  expect(await file.read('"}{:[,')).toEqual(new Float32Array([9]));
});

describe("whatever the bytes, the answer is a valid header or a DeftError", () => {
  const accepts = (json: Uint8Array, size: number): void => {
    try {
      const { tensors } = parseHeader(json, { who: "file", fileBytes: size });
      const total = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 8 + json.byteLength);
      expect(total).toBe(size);
    } catch (error) {
      if (!(error instanceof DeftError)) throw error;
      expect(error.code).toMatch(/^safetensors\.(header|name|dtype|shape|offsets|truncated)$/);
    }
  };

  test("random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(200), (json, size) => accepts(json, size)));
  });
  test("random JSON", () => {
    fc.assert(fc.property(fc.json(), fc.nat(200), (json, size) => accepts(encoder.encode(json), size)));
  });
  test("random entries", () => {
    const strange = fc.record({
      dtype: fc.oneof(fc.constantFrom("F32", "U8", "BF16", "I64"), fc.anything()),
      shape: fc.oneof(fc.array(fc.oneof(fc.integer({ min: -1, max: 4 }), fc.maxSafeInteger(), fc.double())), fc.anything()),
      data_offsets: fc.oneof(fc.tuple(fc.integer({ min: -1, max: 40 }), fc.nat(40)), fc.array(fc.double())),
    });
    const header = fc.dictionary(fc.string({ unit: "binary" }), strange);
    fc.assert(
      fc.property(header, fc.nat(400), (value, size) => {
        let text: string;
        try {
          text = JSON.stringify(value);
        } catch {
          return; // a bigint or a cycle among the strange values
        }
        accepts(encoder.encode(text), size);
      }),
    );
  });
  test("a valid header with one byte changed", () => {
    const header = encoder.encode(JSON.stringify({ a: entry(), b: entry({ dtype: "U8", shape: [3], data_offsets: [8, 11] }) }));
    fc.assert(
      fc.property(fc.nat(header.byteLength - 1), fc.nat(255), (at, byte) => {
        const changed = header.slice();
        changed[at] = byte;
        accepts(changed, 8 + header.byteLength + 11);
      }),
    );
  });
  test("any eight bytes of length", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(1000), (length, size) => {
        const prefix = new Uint8Array(8);
        new DataView(prefix.buffer).setBigUint64(0, length, true);
        const fits = length <= 100_000_000n && 8n + length <= BigInt(size);
        if (fits) expect(headerLength(prefix, { who: "file", fileBytes: size })).toBe(Number(length));
        else expect(() => headerLength(prefix, { who: "file", fileBytes: size })).toThrow(DeftError);
      }),
    );
  });
});
