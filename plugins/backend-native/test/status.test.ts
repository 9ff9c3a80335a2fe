import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { nativeStatus, registerNative } from "../src/index.ts";
import { start } from "./native.ts";

describe("an addon that is not there", () => {
  afterEach(() => void vi.unstubAllEnvs());

  test("is named with the one command that builds it", () => {
    vi.stubEnv("DEFT_NATIVE_ADDON", "/nowhere/deft_native.node");
    expect(() => registerNative()).toThrow(expect.objectContaining({ code: "native.missing", message: expect.stringContaining("apt-get install -y g++ make python3 libdnnl-dev") }));
    expect(nativeStatus()).toMatchObject({ built: false, problem: expect.stringContaining("/nowhere/deft_native.node") });
  });

  test("the install script succeeds without a compiler, in one line", () => {
    const script = fileURLToPath(new URL("../install.mjs", import.meta.url));
    const { status, stdout } = spawnSync(process.execPath, [script], { env: { PATH: "/nowhere", DEFT_NATIVE_GEMM: "none" }, encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(stdout).toContain("not built (no C++ compiler)");
  });
});

describe.skipIf(!nativeStatus().built)("status", () => {
  test("tells instruction set, library, threads and pool", async () => {
    await start({ threads: 1, isa: "portable" });
    expect(nativeStatus()).toMatchObject({ built: true, addon: { isa: "portable", threads: 1 }, precision: "f32", pool: { hits: expect.any(Number) } });
  });

  test("bf16 falls back where the machine has none, and says so", async () => {
    await start({ precision: "bf16" });
    const { addon, precision } = nativeStatus();
    expect(precision).toMatch(addon?.bf16 === 1 ? /^bf16$/ : /^f32 \(bf16 needs/);
  });
});
