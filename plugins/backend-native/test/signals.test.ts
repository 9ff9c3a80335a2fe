import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { addonFile } from "../src/addon.ts";
import { nativeStatus } from "../src/index.ts";

// Node's profiler interrupts the main thread by a signal; without the mask this ends in "corrupted size vs. prev_size".
const BODY = `
const addon = require(process.argv[1]);
addon.configure(2, "auto");
const [x, y] = [new Float32Array(256 * 256).fill(0.5), new Float32Array(256 * 256)];
const end = Date.now() + 1500;
while (Date.now() < end) addon.linear(0, false, 256, 256, 256, x, x, null, null, y, null, false);
console.log(y[0]);
`;

describe.skipIf(!nativeStatus().built)("signals", () => {
  test("that arrive during products do no harm", () => {
    const folder = mkdtempSync(join(tmpdir(), "deft-native-"));
    try {
      const { status, stdout, stderr } = spawnSync(process.execPath, ["--cpu-prof", "--cpu-prof-interval", "100", `--cpu-prof-dir=${folder}`, "-e", BODY, addonFile()], { encoding: "utf8" });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "64\n", stderr: "" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
