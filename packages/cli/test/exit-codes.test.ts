import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EXIT_CODE_MEANINGS, EXIT_CODES, exitCodeOf } from "../src/index.ts";
import { deft, deftError } from "./support.ts";

/** The TypeScript of every package and plugin, tests left out. */
function sources(): string[] {
  const root = join(import.meta.dirname, "../../..");
  return ["packages", "plugins"].flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name, "src")))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts")).map((file) => readFileSync(join(folder, file), "utf8")));
}

describe("exit codes", () => {
  test.each([
    ["options.invalid", 2], ["recipe.syntax", 2], ["lora.target", 2], ["adapter.target", 2], ["density.layers", 2], ["early-stopping.metric", 2], ["evaluate.split", 2], ["pretrain.head", 2], ["export.empty", 2],
    ["data.row", 3], ["task.empty", 3], ["glue.name", 3], ["text.column", 3],
    ["checkpoint.missing", 4], ["safetensors.header", 4], ["hub.network", 4], ["model.config", 4], ["tokenizer.malformed", 4], ["lora.state", 4], ["adapter.config", 4], ["output.unwritable", 4],
    ["training.nonfinite", 5], ["evaluation.labels", 5], ["optimizer.gradient", 5], ["training.options", 5],
    ["plugin.unknown", 6], ["plugin.core", 6],
    ["native.load", 7], ["backend.missing", 7], ["tensor.backend", 7],
    ["density.taps", 2], ["gate.task", 2], ["gates.skip", 2], ["prune.calibration", 2], ["generation.model", 2], ["lora.average", 2], ["adapters.busy", 2], ["weight.shape", 2], ["tensor.shape", 2], ["stranger.rule", 2],
    ["metric.input", 3], ["tensor.labels", 3], ["gates.state", 4], ["quantize.nonfinite", 4], ["generation.nonfinite", 5], ["run.interrupted", 130],
    ["tensor.gradient", 1], ["tensor.kernel", 1], ["constructor", 2], ["", 2],
  ])("%s gives %i", (code, expected) => expect(exitCodeOf(deftError(code))).toBe(expected));

  test("what is no DeftError is internal, whatever its code", () => {
    expect(exitCodeOf(Object.assign(new Error("x"), { code: "data.row" }))).toBe(1);
    expect(exitCodeOf("data.row")).toBe(1);
    expect(exitCodeOf({ name: "DeftError", code: "data.row" })).toBe(1);
  });

  test("no code in the sources but those of defects is an internal error", () => {
    const codes = sources().flatMap((text) => [...text.matchAll(/(?:DeftError\(\s*|\bcode: )["`]([\w${}-]+\.\w+)["`]/g)].map(([, code = ""]) => code.replace("${who}", "lora")));
    expect(new Set(codes).size).toBeGreaterThan(150);
    expect(codes).toEqual(expect.arrayContaining(["gate.gates", "lora.weight", "lora.state", "native.load", "run.interrupted", "training.nonfinite"]));
    expect([...new Set(codes.filter((code) => exitCodeOf(deftError(code)) === EXIT_CODES.internal))].sort()).toEqual(["tensor.gradient", "tensor.kernel"]);
  });

  test("every code of every error is documented", () => {
    const documented = EXIT_CODE_MEANINGS.map(([code]) => code);
    expect(documented).toEqual(Object.values(EXIT_CODES));
    fc.assert(fc.property(fc.string(), (code) => documented.includes(exitCodeOf(deftError(code)) as 0)));
  });
});

describe("failures", () => {
  const failing = (error: unknown) => ({ measureDensity: () => Promise.reject(error as Error) });

  test("are one line with the code; the stack is for --verbose", async () => {
    const error = deftError("checkpoint.missing", "model: must have w, got\u001b[2J none. Remedy.");
    expect(await deft(["density", "m", "--data", "f"], failing(error))).toEqual({ code: 4, out: "", err: "error [checkpoint.missing] model: must have w, got?[2J none. Remedy.\n" });
    for (const argv of [["--verbose", "density", "m", "--data", "f"], ["density", "m", "--data", "f", "--verbose"]]) expect((await deft(argv, failing(error))).err).toContain("exit-codes.test.ts");
  });

  test("that nobody expected say how to see more", async () => {
    const { code, err } = await deft(["density", "m", "--data", "f"], failing(new TypeError("x is undefined")));
    expect({ code, err }).toEqual({ code: 1, err: "error [internal] x is undefined\nThis should not happen; `--verbose` shows where it did.\n" });
  });

  test.each([
    [["fly"]], [["run"]], [["run", "r.yaml", "--fast"]], [["run", "r.yaml", "--set", "seed"]], [["density", "m"]], [["density", "m", "--data", "f", "--limit", "0"]],
    [["predict", "m"]], [["predict", "m", "--text", "a", "--data", "f"]], [["predict", "m", "--text", "a", "--text", "b", "--pair", "c"]], [["predict", "m", "--text", "a", "--column", "c"]], [[]],
    [["export", "m", "o", "--base", "held"]], [["export", "m", "o", "--merge", "--layout", "peft"]], [["export", "m", "o", "--merge", "--name", "n"]],
  ])("of usage give 2: %j", async (argv) => {
    const { code, out, err } = await deft(argv);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(argv.length === 0 ? /^Usage: deft/ : /^error \[options\.usage\] /);
  });

  test("the help says what the codes mean", async () => {
    const { code, out } = await deft(["--help"]);
    expect(code).toBe(0);
    for (const [number, meaning] of EXIT_CODE_MEANINGS) expect(out).toMatch(new RegExp(`^ +${number} +${meaning.replace(/[`.]/g, ".")}$`, "m"));
  });
});
