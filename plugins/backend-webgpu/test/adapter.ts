import { existsSync } from "node:fs";
import { BACKEND, Kernel, type Backend } from "@deft-js/core";
import webgpu from "../src/index.ts";

/** Where Debian's package chromium keeps the description of its software Vulkan driver. */
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

if (process.env["VK_DRIVER_FILES"] === undefined && existsSync(SWIFTSHADER)) process.env["VK_DRIVER_FILES"] = SWIFTSHADER;

/** Milliseconds: a software driver compiles each program for the processor, on a busy machine for a while. */
export const COMPILING = 300_000;

export const create = (): Backend => new Kernel().use(webgpu).create(BACKEND, "webgpu");

/** Why nothing can be run here; undefined where an adapter, be it a software one, is found. */
export const noAdapter: string | undefined = await create()
  .start({ software: true })
  .then(() => undefined, (error: unknown) => (error as Error).message);

if (noAdapter !== undefined) console.warn(`skipped: ${noAdapter}`);
