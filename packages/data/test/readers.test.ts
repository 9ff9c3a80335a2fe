import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { formatOf, readLines, readRows, readTexts, readTsv } from "../src/index.ts";
import { all, temporaryFolder } from "./support/folder.ts";

const folder = temporaryFolder();
const rows = async (name: string, content: string | Uint8Array, options = {}) => (await all(readRows(folder.write(name, content), options))).map(({ line, record }) => ({ line, ...record }));

describe("lines", () => {
  it("end with LF or CRLF only, without the byte-order mark", async () => {
    const file = folder.write("lines.txt", "\ufeffa\r\nb\u2028c\r d\n\ne");
    expect(await all(readLines(file))).toEqual([{ number: 1, text: "a" }, { number: 2, text: "b\u2028c\r d" }, { number: 3, text: "" }, { number: 4, text: "e" }]);
  });

  it("are whole across the chunks that the file is read in", async () => {
    const long = Array.from({ length: 3000 }, (_, i) => `${i}`.padStart(200, "é"));
    const read = await all(readLines(folder.write("chunks.txt", long.join("\n"))));
    expect(read.map((line) => line.text)).toEqual(long);
  });

  it("may not be longer than the bound, however long the file", async () => {
    const file = folder.write("long.txt", `ok\n${"x".repeat(5000)}`);
    await expect(all(readLines(file, { maxLineBytes: 100 }))).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining("long.txt:2: a line may have 100 bytes") as string });
    const endless = folder.write("endless.txt", Buffer.alloc(2 ** 20, 120));
    await expect(all(readLines(endless, { maxLineBytes: 1000 }))).rejects.toThrow(/endless\.txt:1/);
  });

  it("must be UTF-8", async () => {
    const file = folder.write("latin.txt", Buffer.from([97, 10, 233, 10]));
    await expect(all(readLines(file))).rejects.toThrow(/latin\.txt:2: a line must be UTF-8/);
  });

  it("of a missing file are an error of the file", async () => {
    await expect(all(readLines(`${folder.path}/none.txt`))).rejects.toMatchObject({ code: "data.file", message: expect.stringContaining("ENOENT") as string });
  });
});

describe("TSV", () => {
  it("knows no quotes and counts lines from the header", async () => {
    expect(await rows("quotes.tsv", 'a\tb\n"x\t1\n\ny"\t2\n')).toEqual([{ line: 2, a: '"x', b: "1" }, { line: 4, a: 'y"', b: "2" }]);
  });

  it("keeps a row of empty fields", async () => {
    expect(await rows("empty.tsv", "a\tb\n\t\nx\t1\n \n")).toEqual([{ line: 2, a: "", b: "" }, { line: 3, a: "x", b: "1" }]);
  });

  it("takes the header of a file without one", async () => {
    expect(await rows("bare.tsv", "x\t1\n", { header: ["a", "b"] })).toEqual([{ line: 1, a: "x", b: "1" }]);
  });

  it("names the line of a row with too few or too many columns", async () => {
    await expect(rows("short.tsv", "a\tb\nx\t1\ny\n")).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining("short.tsv:3: a row must have 2 columns as the header, got 1") as string });
    await expect(rows("wide.tsv", "a\tb\nx\t1\t2\n")).rejects.toThrow(/wide\.tsv:2.*got 3/);
  });

  it("leaves malformed rows out where the caller takes their errors", async () => {
    const errors: string[] = [];
    const file = folder.write("skip.tsv", "a\tb\nx\ny\t2\n");
    const kept = await all(readTsv(file, { onMalformed: (error) => errors.push(error.message) }));
    expect(kept.map((row) => row.record["a"])).toEqual(["y"]);
    expect(errors).toEqual([expect.stringContaining("skip.tsv:2")]);
  });

  it("refuses a column named twice, and holds a column named __proto__ as any other", async () => {
    await expect(rows("twice.tsv", "a\ta\n1\t2\n")).rejects.toMatchObject({ code: "data.file" });
    const [row] = await all(readRows(folder.write("proto.tsv", "__proto__\tb\nx\ty\n")));
    expect(Object.entries(row?.record ?? {})).toEqual([["__proto__", "x"], ["b", "y"]]);
  });

  it("gives every table back, and finds the one row that lost or gained columns", async () => {
    const cell = fc.string({ unit: fc.constantFrom("a", "b", '"', "é", " x", ","), minLength: 1, maxLength: 5 });
    const table = fc.integer({ min: 2, max: 4 }).chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(table, fc.nat(), fc.boolean(), async (cells, pick, gains) => {
        const header = cells[0]?.map((_, i) => `c${i}`) ?? [];
        const text = (data: string[][]): string => [header, ...data].map((row) => row.join("\t")).join("\n");
        const read = await rows("any.tsv", text(cells));
        expect(read.map((row) => Object.values(row).slice(1))).toEqual(cells);
        const at = pick % cells.length;
        const damaged = cells.map((row, i) => (i !== at ? row : gains ? [...row, "more"] : row.slice(1)));
        await expect(rows("any.tsv", text(damaged))).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining(`any.tsv:${at + 2}:`) as string });
      }),
      { numRuns: 25 },
    );
  });
});

describe("CSV", () => {
  it("ends lines at line feeds alone: a carriage return makes no row of its own", async () => {
    expect(await rows("returns.csv", "a,b\r1,2\r3,4\r")).toEqual([]);
  });

  it("is quoted as RFC 4180 says; a row's line is the one on which it ends", async () => {
    expect(await rows("ok.csv", '\ufefftext,label\r\n"a, ""b""",1\r\n"two\nlines",2\r\n\r\nplain,3\r\n')).toEqual([
      { line: 2, text: 'a, "b"', label: "1" },
      { line: 4, text: "two\nlines", label: "2" },
      { line: 6, text: "plain", label: "3" },
    ]);
  });

  it.each([
    ["columns.csv", "a,b\n1,2\n3\n", 3],
    ["quote.csv", 'a,b\n1,2\n3,x"y"\n', 3],
    ["trailing.csv", 'a,b\n"1"x,2\n', 2],
  ])("%s: a malformed row is named by its line", async (name, content, line) => {
    await expect(rows(name, content)).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining(`${name}:${line}:`) as string });
  });

  it("refuses an open quote and a record without end", async () => {
    await expect(rows("open.csv", 'a,b\n"1,2\n3,4\n')).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining("open.csv:") as string });
    await expect(rows("huge.csv", `a,b\n"${"x\n".repeat(500)}`, { maxLineBytes: 100 })).rejects.toMatchObject({ code: "data.row" });
  });

  it("must be UTF-8, and its file must be there", async () => {
    await expect(rows("latin.csv", Buffer.from([97, 10, 233, 10]))).rejects.toThrow(/latin\.csv:2/);
    await expect(all(readRows(`${folder.path}/none.csv`))).rejects.toMatchObject({ code: "data.file" });
  });

  it("stops reading when its reader does", async () => {
    const file = folder.write("many.csv", `a,b\n${"1,2\n".repeat(50_000)}`);
    for await (const row of readRows(file)) {
      expect(row.record).toEqual({ a: "1", b: "2" });
      break;
    }
  });
});

describe("JSON", () => {
  it("is an object a line, or an array of them", async () => {
    expect(await rows("ok.jsonl", '{"a":1}\n\n{"a":"x"}\n')).toEqual([{ line: 1, a: 1 }, { line: 3, a: "x" }]);
    expect(await rows("ok.json", '[{"a":1},{"a":2}]')).toEqual([{ line: 1, a: 1 }, { line: 2, a: 2 }]);
  });

  it("names the line or position of what is not an object", async () => {
    await expect(rows("bad.jsonl", '{"a":1}\n{"a":\n')).rejects.toThrow(/bad\.jsonl:2: a line must be a JSON object/);
    await expect(rows("list.jsonl", '{"a":1}\n[1]\n')).rejects.toThrow(/list\.jsonl:2/);
    await expect(rows("bad.json", '[{"a":1},3]')).rejects.toThrow(/bad\.json:2: a row must be a JSON object, got 3/);
    await expect(rows("object.json", '{"a":1}')).rejects.toMatchObject({ code: "data.file" });
    await expect(rows("cut.json", '[{"a":1}')).rejects.toMatchObject({ code: "data.file" });
  });

  it("of any damaged line is an error that names the line", async () => {
    const garbage = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== "" && !text.includes("\n") && !isObjectText(text));
    await fc.assert(
      fc.asyncProperty(garbage, fc.integer({ min: 0, max: 5 }), async (line, at) => {
        const content = Array.from({ length: 6 }, (_, i) => (i === at ? line : `{"i":${i}}`)).join("\n");
        await expect(rows("any.jsonl", content)).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining(`any.jsonl:${at + 1}:`) as string });
      }),
      { numRuns: 40 },
    );
  });
});

function isObjectText(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

describe("Parquet", () => {
  const bytes = (rowGroupSize = 100) =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "sentence", data: ["one", "two", "three"], type: "STRING" },
          { name: "label", data: [0n, 1n, -1n], type: "INT64" },
        ],
        rowGroupSize,
      }),
    );

  it("gives rows over all row groups, with int64 as numbers", async () => {
    const expected = [{ line: 1, sentence: "one", label: 0 }, { line: 2, sentence: "two", label: 1 }, { line: 3, sentence: "three", label: -1 }];
    expect(await rows("ok.parquet", bytes())).toEqual(expected);
    expect(await rows("groups.parquet", bytes(2))).toEqual(expected);
  });

  it("reads the named columns only, and all when one of them is missing", async () => {
    expect(await rows("part.parquet", bytes(), { columns: ["label"] })).toEqual([{ line: 1, label: 0 }, { line: 2, label: 1 }, { line: 3, label: -1 }]);
    expect(await rows("part.parquet", bytes(), { columns: ["label", "absent"] })).toHaveLength(3);
    expect(Object.keys((await rows("part.parquet", bytes(), { columns: ["absent"] }))[0] ?? {})).toEqual(["line", "sentence", "label"]);
  });

  it("that is cut, empty or has a wild footer is an error of the file", async () => {
    const good = bytes();
    const wild = good.slice();
    new DataView(wild.buffer).setUint32(wild.length - 8, 0x7fffffff, true);
    for (const [name, content] of [["cut", good.slice(0, -20)], ["empty", new Uint8Array()], ["wild", wild], ["text", Buffer.from("sentence\tlabel\nx\t1\n")]] as const)
      await expect(rows(`${name}.parquet`, content)).rejects.toMatchObject({ code: "data.file", message: expect.stringContaining(`${name}.parquet`) as string });
  });

  it("of other writers is read: version 1 pages, dictionaries, optional columns, several row groups, delta encoding", async () => {
    const read = async (name: string): Promise<Record<string, unknown>[]> => (await all(readRows(`${import.meta.dirname}/fixtures/${name}.parquet`))).map((row) => ({ ...row.record }));
    expect(await read("rowgroups")).toEqual(Array.from({ length: 15 }, (_, i) => ({ numbers: i + 1 })));
    expect(await read("duckdb_delta_binary_packed")).toEqual(Array.from({ length: 1250 }, (_, i) => ({ range: i })));
    const dictionary = await read("plain-dict-uncompressed-checksum");
    expect(dictionary).toHaveLength(1000);
    expect(dictionary[999]).toEqual({ long_field: 0, binary_field: "a655fd0e-9949-4059-bcae-fd6a002a4652" });
  });

  it("passes over columns of lists and structs", async () => {
    const data = parquetWriteBuffer({
      schema: [
        { name: "root", num_children: 2 },
        { name: "text", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
        { name: "parts", repetition_type: "REQUIRED", num_children: 1 },
        { name: "start", type: "INT32", repetition_type: "REQUIRED" },
      ],
      columnData: [
        { name: "text", data: ["a", "b"] },
        { name: "parts", data: [{ start: 1 }, { start: 2 }] },
      ],
    });
    expect(await rows("nested.parquet", new Uint8Array(data))).toEqual([{ line: 1, text: "a" }, { line: 2, text: "b" }]);
  });

  it.each(["ok", "rowgroups"])("with any byte changed is read or refused, and never hangs: %s", async (name) => {
    const good = name === "ok" ? bytes() : readFileSync(`${import.meta.dirname}/fixtures/rowgroups.parquet`);
    const step = name === "ok" ? 1 : 29;
    for (let at = 0; at < good.length; at += step)
      for (const value of [0, 128]) {
        const damaged = Uint8Array.from(good);
        damaged[at] = value;
        await rows("any.parquet", damaged).catch((error: unknown) => expect(error).toMatchObject({ code: "data.file" }));
      }
  });
});

describe("texts", () => {
  it("come from any format, from the usual columns or the named one", async () => {
    const texts = async (name: string, content: string, options = {}) => (await all(readTexts(folder.write(name, content), options))).map(({ line, text, pair }) => [line, text, ...(pair === undefined ? [] : [pair])]);
    expect(await texts("t.txt", "one\n\ntwo\n")).toEqual([[1, "one"], [3, "two"]]);
    expect(await texts("t.tsv", "label\tsentence\n1\tone\n")).toEqual([[2, "one"]]);
    expect(await texts("t.jsonl", '{"q":"a","r":"b"}', { column: "q", pair: "r" })).toEqual([[1, "a", "b"]]);
    await expect(texts("u.csv", "x,y\n1,2\n")).rejects.toMatchObject({ code: "data.column", message: expect.stringContaining("x, y") as string });
    await expect(texts("n.jsonl", '{"text":"a"}\n{"text":3}')).rejects.toThrow(/n\.jsonl:2: column text must hold a text, got 3/);
  });

  it("need a known format", () => {
    expect(formatOf("a.b/c.NDJSON")).toBe("jsonl");
    expect(() => formatOf("data.xlsx")).toThrow(expect.objectContaining({ code: "data.format" }));
    expect(() => formatOf("data")).toThrow(expect.objectContaining({ code: "data.format" }));
  });
});
