import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const SOURCE = ["--conditions=@deft-js/source", "--import", "tsx"];

/** Runs a script from source. The reader of its output goes away after the first piece when `leave` is set; output goes to the file `to` where one is named. */
function run(args: readonly string[], { leave = false, to }: { leave?: boolean; to?: string } = {}): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const file = to === undefined ? "pipe" : openSync(to, "w");
    const child = spawn(process.execPath, [...SOURCE, ...args], { stdio: ["ignore", file, "pipe"] });
    if (typeof file === "number") closeSync(file);
    let [out, err] = ["", ""];
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (leave) child.stdout?.destroy();
    });
    child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

test("--help loads neither tfjs nor rxjs nor zod, nor any package that does", async () => {
  const { code, out, err } = await run(["--import", here("module-trace.mjs"), here("../src/main.ts"), "--help"]);
  const modules = err.split("\n").filter((line) => line.startsWith("module "));
  expect(code).toBe(0);
  expect(out).toContain("Usage: deft");
  expect(modules.some((line) => line.includes("/src/program.ts"))).toBe(true);
  expect(modules.filter((line) => /tensorflow|\/rxjs\/|\/zod\/|packages\/(core|run|tensor|data|checkpoint)\//.test(line))).toEqual([]);
});

test("--version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(here("../package.json"), "utf8")) as { version: string };
  expect(await run([here("../src/main.ts"), "--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

test("a usage error goes to standard error with exit code 2", async () => {
  const { code, out, err } = await run([here("../src/main.ts"), "run"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain("error [options.usage] missing required argument 'recipe'");
});

test("a reader that goes away ends the command without an error", async () => {
  const { code, out, err } = await run([here("endless-predictions.ts")], { leave: true });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out.split("\n")[0]).toBe('{"text":"text 0","label":"a","probabilities":{"a":1}}');
});

test.skipIf(!existsSync("/dev/full")).each([["main.ts", here("../src/main.ts"), ["--help"]], ["predictions without end", here("endless-predictions.ts"), []]])("a full disk under the output of %s is an error of files", async (_, script, args) => {
  const { code, err } = await run([script, ...args], { to: "/dev/full" });
  expect({ code, err }).toEqual({ code: 4, err: expect.stringMatching(/^error \[output\.unwritable\] standard output: must take what is written, got ENOSPC: .*\n$/) as string });
});
