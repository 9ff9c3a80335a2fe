import { mkdir, readdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { currentFolder, formatJson, saveTrainingState, writeFileAtomically, writeFolderAtomically, writeSafetensors } from "../src/index.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();
const text = (...names: string[]): Promise<string> => readFile(folder.path(...names), "utf8");

test("a folder is written, and replaced as a whole", async () => {
  const path = folder.path("one", "deep");
  await writeFolderAtomically(path, { "a.txt": "1", "b.bin": new Uint8Array([1, 2]) });
  await writeFolderAtomically(path, { "a.txt": "2", "c.txt": (to) => writeFile(to, "3") }, { replaceable: (name) => name === "b.bin" });
  expect((await readdir(path)).sort()).toEqual(["a.txt", "c.txt"]);
  expect(await text("one", "deep", "a.txt")).toBe("2");
  expect(await readdir(folder.path("one"))).toEqual(["deep"]);
});

test("a write that fails leaves the earlier folder and nothing else", async () => {
  const path = folder.path("two", "x");
  await writeFolderAtomically(path, { a: "1" });
  await expect(writeFolderAtomically(path, { a: "2", b: () => Promise.reject(new Error("disk full")) })).rejects.toThrow("disk full");
  expect(await text("two", "x", "a")).toBe("1");
  expect(await readdir(folder.path("two"))).toEqual(["x"]);
});

test("what the file system refuses is said with the place and its reason; what failed for another cause stays as it is", async () => {
  await writeFile(folder.path("plain"), "");
  const within = folder.path("plain", "x");
  for (const write of [() => writeFolderAtomically(within, { a: "1" }), () => writeSafetensors(within, []), () => saveTrainingState(within, { json: {}, tensors: [] })]) {
    const { message } = await expectCode(write(), "checkpoint.unwritable");
    expect(message).toMatch(/plain\/x: must be a place that can be written, got (ENOTDIR|EEXIST): .*\. Make room/);
  }
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  const path = folder.path("full", "x");
  await writeFolderAtomically(path, { a: "1" });
  const { message, cause } = await expectCode(writeFolderAtomically(path, { a: "2", b: (to) => writeFileAtomically(to, () => Promise.reject(full)) }), "checkpoint.unwritable");
  expect(message).toContain(`${path}: must be a place that can be written, got ENOSPC`);
  expect(cause).toBe(full);
  expect(await text("full", "x", "a")).toBe("1");
  expect(await readdir(folder.path("full"))).toEqual(["x"]);
  const own = new TypeError("no syscall");
  await expect(writeFileAtomically(folder.path("own"), () => Promise.reject(own))).rejects.toBe(own);
});

test("a folder with somebody's own files is not replaced", async () => {
  const path = folder.path("three");
  await mkdir(path);
  await writeFile(folder.path("three", "thesis.tex"), "…");
  await expectCode(writeFolderAtomically(path, { a: "1" }), "checkpoint.occupied");
  expect(await readdir(path)).toEqual(["thesis.tex"]);
  await writeFile(folder.path("file"), "");
  await expectCode(writeFolderAtomically(folder.path("file"), { a: "1" }), "checkpoint.occupied");
});

test("names do not lead out of the folder", async () => {
  for (const name of ["../a", "a/b", "..", "", "a\0b", "a\\b"]) {
    await expectCode(writeFolderAtomically(folder.path("four"), { [name]: "1" }), "checkpoint.name");
  }
  expect((await readdir(folder.path())).filter((name) => name.includes("four"))).toEqual([]);
});

test("after a crash between the two renames the earlier folder is found, read and put back", async () => {
  const path = folder.path("five");
  await writeFolderAtomically(path, { a: "old" });
  await rename(path, folder.path(".five.previous"));
  await mkdir(folder.path(".five.partial"));
  await writeFile(folder.path(".five.partial", "a"), "half");
  expect(await currentFolder(path)).toBe(folder.path(".five.previous"));
  await expect(writeFolderAtomically(path, { a: () => Promise.reject(new Error("again")) })).rejects.toThrow("again");
  expect(await currentFolder(path)).toBe(path);
  expect(await text("five", "a")).toBe("old");
  expect((await readdir(folder.path())).filter((name) => name.startsWith(".five"))).toEqual([]);
});

test("after a crash before the clean-up the new folder stays and the earlier one goes", async () => {
  const path = folder.path("six");
  await writeFolderAtomically(path, { a: "new" });
  await mkdir(folder.path(".six.previous"));
  expect(await currentFolder(path)).toBe(path);
  await writeFolderAtomically(path, { a: "newer" });
  expect(await text("six", "a")).toBe("newer");
  expect((await readdir(folder.path())).filter((name) => name.startsWith(".six"))).toEqual([]);
});

test("a link to a folder keeps being one", async () => {
  await writeFolderAtomically(folder.path("real"), { a: "1" });
  await symlink(folder.path("real"), folder.path("link"));
  await writeFolderAtomically(folder.path("link"), { a: "2" });
  expect(await text("real", "a")).toBe("2");
  expect(await text("link", "a")).toBe("2");
});

test("JSON is written only when it says what the value says", () => {
  expect(formatJson({ b: 1, a: [null, "x", true], c: undefined }, "x")).toBe('{\n  "b": 1,\n  "a": [\n    null,\n    "x",\n    true\n  ]\n}\n');
  expect(() => formatJson({ a: [{ b: 1 }, { c: NaN }] }, "x")).toThrow("x.a[1].c: must be plain JSON, got NaN");
  for (const value of [NaN, Infinity, new Float32Array(1), new Map(), () => 0, 1n, [undefined], Symbol.iterator]) {
    expect(() => formatJson({ a: { value } }, "x")).toThrow("must be plain JSON");
  }
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  expect(() => formatJson(cycle, "x")).toThrow("more than 64 levels");
});
