import { Kernel, BACKEND, ops } from "@deft-js/core";
import { expect, test, vi } from "vitest";
import wasm from "@deft-js/plugin-backend-wasm";

test("starts from the installed files, silently, and computes", async () => {
  const spoken = [vi.spyOn(console, "log"), vi.spyOn(console, "warn"), vi.spyOn(console, "info")];
  const backend = new Kernel().use(wasm).create(BACKEND, "wasm");
  await backend.start();
  expect(ops.backendName()).toBe("wasm");
  expect(backend.status()).toMatchObject({ threads: 1, simd: true, version: "4.22.0" });
  const product = ops.scope(() => ops.read(ops.matMul(ops.tensor([1, 2, 3, 4], [2, 2]), ops.tensor([1, 1, 0, 2], [2, 2]))));
  expect([...product]).toEqual([1, 5, 3, 11]);
  for (const spy of spoken) expect(spy).not.toHaveBeenCalled();
});

test("the gradient of a gather, which stock wasm lacks, comes from the host kernels", async () => {
  await new Kernel().use(wasm).create(BACKEND, "wasm").start();
  const table = ops.Variable.from("table", Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  const { gradients } = ops.valueAndGradients(() => ops.sum(ops.embedding(table.value, ops.intTensor([2, 0, 2], [1, 3]))), [table]);
  expect([...ops.read(gradients.get("table")!)]).toEqual([1, 1, 0, 0, 2, 2]);
});
