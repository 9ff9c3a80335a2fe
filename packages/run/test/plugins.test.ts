import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BACKEND, definePlugin, DeftError, Kernel, PEFT_METHOD } from "@deft-js/core";
import { backendReport, builtIn, createKernel, discoverPlugins, startBackend } from "@deft-js/run";
import { expect, test } from "vitest";
import { resolvePlugin } from "../src/kernel/resolve.ts";
import { pluginSource as plugin, writePackage } from "./support/package.ts";
import { tempFolder } from "./support/tiny.ts";

test("finds scoped plugins that are installed and dependencies with the keyword; leaves out what does not work", async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: { "deft-bitfit": "1", plain: "1" } }));
  writePackage(join(folder, "node_modules", "deft-bitfit"), "deft-bitfit", { keywords: ["deft-plugin"] }, plugin("bitfit"));
  writePackage(join(folder, "node_modules", "plain"), "plain", {}, "throw new Error('must not be loaded');");
  writePackage(join(folder, "node_modules", "unlisted"), "unlisted", { keywords: ["deft-plugin"] }, "throw new Error('must not be loaded');");
  writePackage(join(folder, "node_modules", "@deft-js", "plugin-broken"), "@deft-js/plugin-broken", {}, "throw new Error('broken');");
  const found = discoverPlugins(folder).filter((name) => !name.startsWith("@deft-js/plugin-") || name.endsWith("broken"));
  expect(found).toEqual(["@deft-js/plugin-broken", "deft-bitfit"]);
  const skipped: string[] = [];
  await createKernel({ from: folder, onSkipped: (name, reason) => skipped.push(`${name}: ${reason}`) });
  expect(skipped.find((line) => line.startsWith("@deft-js/plugin-broken"))).toMatch(/must load, got broken/);
  expect(resolvePlugin("deft-bitfit", folder)).toBe(join(folder, "node_modules", "deft-bitfit", "index.js"));
  await expect(createKernel({ from: folder, plugins: ["@deft-js/plugin-broken"], discover: false })).rejects.toMatchObject({ code: "plugin.load" });
});

test("takes a plugin by file, by folder and by package", async () => {
  const folder = tempFolder();
  writePackage(join(folder, "mine"), "mine", {}, plugin("mine"));
  writeFileSync(join(folder, "one.mjs"), plugin("one"));
  writeFileSync(join(folder, "none.mjs"), "export const a = 1;");
  expect(resolvePlugin("./mine", folder)).toBe(join(folder, "mine", "index.js"));
  const kernel = await createKernel({ from: folder, plugins: ["./mine", "./one.mjs"], discover: false });
  expect(kernel.contributions(PEFT_METHOD).map(({ id }) => id)).toEqual(["mine", "one"]);
  await expect(createKernel({ from: folder, plugins: ["./none.mjs"], discover: false })).rejects.toMatchObject({ code: "plugin.invalid" });
  expect(() => resolvePlugin("not-there", folder)).toThrow(expect.objectContaining({ code: "plugin.missing" }));
});

test("a plugin whose register throws is named; a DeftError passes as it is", () => {
  const throwing = (error: Error) => definePlugin({ name: "thrower", version: "1.0.0", core: "^0.1", register: () => { throw error; } });
  const boom = new Error("boom");
  expect(() => new Kernel().use(throwing(boom))).toThrow(expect.objectContaining({ code: "plugin.load", message: "plugin thrower: must register, got boom. Correct or reinstall it.", cause: boom }));
  const own = new DeftError("thrower.options", "thrower: must be kept, got lost. Find it.");
  expect(() => new Kernel().use(throwing(own))).toThrow(own);
});

const refuses = definePlugin({
  name: "refuses", version: "1.0.0", core: "^0.1",
  register: (registry) => registry.add(BACKEND, { id: "quantum", summary: "does not start", create: () => ({ id: "quantum", rank: 99, start: () => Promise.reject(new DeftError("quantum.cold", "quantum: must be cold, got a warm machine. Wait.")), status: () => ({}) }) }),
});

test("auto passes over what does not start and says why; a named back-end must start", async () => {
  const kernel = new Kernel().use(builtIn, refuses);
  const skipped: string[] = [];
  expect(await startBackend({ kernel, onSkipped: ({ id, why }) => skipped.push(`${id}: ${why}`) })).toBe("cpu");
  expect(skipped).toEqual(["quantum: quantum: must be cold, got a warm machine. Wait."]);
  expect(await backendReport(kernel)).toMatchObject([{ id: "quantum", rank: 99, starts: false }, { id: "cpu", rank: 0, starts: true }]);
  await expect(startBackend({ kernel, id: "quantum" })).rejects.toMatchObject({ code: "backend.start" });
  await expect(startBackend({ kernel, id: "abacus" })).rejects.toMatchObject({ code: "backend.unknown" });
});
