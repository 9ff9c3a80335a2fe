import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "support/endurance.ts");

interface Held {
  readonly backend: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly growth: number;
}

test("10 000 training steps on the native back-end leave memory as it was", { timeout: 600_000 }, async (context) => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--conditions=@deft-js/source", "--import", "tsx", SCRIPT]);
  const held = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Held;
  if (held.backend !== "native") return context.skip(`the native back-end does not start; ${held.backend} does`);
  expect(held.after).toEqual(held.before);
  expect(held.growth).toBeLessThan(16);
});
