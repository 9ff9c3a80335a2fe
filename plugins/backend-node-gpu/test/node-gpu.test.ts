import { BACKEND, Kernel, ops } from "@deft-js/core";
import { beforeEach, describe, expect, test } from "vitest";
import nodeGpu, { nodeGpuBackend } from "../src/index.ts";
import { installed, working } from "./stand-in.ts";

const saying = (text: RegExp): unknown => expect.stringMatching(text);

beforeEach(() => ops.useBackend("cpu"));

describe("the loader", () => {
  test("starts the package that is found, and computes on it", async () => {
    const backend = nodeGpuBackend({ folders: [installed("other", ""), installed("tfjs-node-gpu", working(true))] });
    await backend.start();
    expect(ops.backendName()).toBe("tensorflow");
    expect(backend.status()).toMatchObject({ package: "tfjs-node-gpu", gpu: true });
    expect([...ops.scope(() => ops.read(ops.matMul(ops.tensor([1, 2], [1, 2]), ops.tensor([3, 4], [2, 1]))))]).toEqual([11]);
  });

  test("says what to install where there is none", async () => {
    const missing = nodeGpuBackend({ folders: [installed("other", "")] });
    await expect(missing.start()).rejects.toMatchObject({ code: "backend.missing", message: saying(/npm install @tensorflow\/tfjs-node-gpu@4\.22\.0.*Node 20.*CUDA 11\.2.*libtensorflow 2\.9\.1/) });
    await expect(missing.start({ package: "tfjs-node" })).rejects.toMatchObject({ message: saying(/npm install @tensorflow\/tfjs-node@4\.22\.0/) });
    expect(ops.backendName()).toBe("cpu");
  });

  test("says why the package does not load, and how to mend it", async () => {
    const broken = nodeGpuBackend({ folders: [installed("tfjs-node-gpu", `throw new Error("the addon can not be found at path: x\\nmore")`)] });
    await expect(broken.start()).rejects.toMatchObject({ code: "backend.load", message: saying(/must load, got: the addon can not be found at path: x (Run `npm rebuild|Use Node 20: this is v)/) });
    expect(ops.backendName()).toBe("cpu");
  });

  test("refuses a package that brings its own tfjs-core", async () => {
    const second = nodeGpuBackend({ folders: [installed("tfjs-node-gpu", `exports.Tensor = class Tensor {}; exports.version_core = "4.21.0";`)] });
    await expect(second.start()).rejects.toMatchObject({ code: "backend.copies", message: saying(/tfjs-core 4\.22\.0, got a copy of its own \(4\.21\.0\)/) });
  });

  test("refuses the GPU package when TensorFlow computes on the CPU, and gives the engine back", async () => {
    const blind = nodeGpuBackend({ folders: [installed("tfjs-node-gpu", working(false))] });
    await expect(blind.start()).rejects.toMatchObject({ code: "backend.adapter", message: saying(/CUDA 11\.2/) });
    expect(ops.backendName()).toBe("cpu");
  });

  test("takes the CPU package only when it is asked for", async () => {
    const backend = nodeGpuBackend({ folders: [installed("tfjs-node", working(false))] });
    await expect(backend.start()).rejects.toMatchObject({ code: "backend.missing" });
    await backend.start({ package: "tfjs-node" });
    expect(backend.status()).toMatchObject({ package: "tfjs-node", gpu: false });
  });
});

test("the plugin brings node-gpu with the first rank, and checks its options", () => {
  const kernel = new Kernel().use(nodeGpu);
  expect(kernel.create(BACKEND, "node-gpu")).toMatchObject({ id: "node-gpu", rank: 40 });
  expect(() => kernel.create(BACKEND, "node-gpu", { package: "tfjs" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
});
