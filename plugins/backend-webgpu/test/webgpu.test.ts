import { execFileSync } from "node:child_process";
import { ops } from "@deft-js/core";
import { beforeAll, describe, expect, test } from "vitest";
import { create, noAdapter } from "./adapter.ts";

describe.skipIf(noAdapter !== undefined)("webgpu", () => {
  const backend = create();
  beforeAll(() => backend.start({ software: true }));

  const product = (): ops.Tensor => ops.matMul(ops.tensor(new Float32Array(2000).fill(0.5), [40, 50]), ops.tensor(new Float32Array(2000).fill(2), [50, 40]));

  test("says what it runs on", () => {
    expect(ops.backendName()).toBe("webgpu");
    expect(backend.status()).toMatchObject({ adapter: expect.any(String) as unknown, software: expect.any(Boolean) as unknown, version: "4.22.0" });
  });

  test.skipIf(noAdapter !== undefined || !backend.status()["software"])("a software adapter that runs is still refused where it is not asked for", async () => {
    await expect(create().start({})).rejects.toMatchObject({ code: "backend.adapter" });
  });

  test("reads at once, without blocking, and at once while a read without blocking is under way", async () => {
    const x = product();
    const y = ops.scale(x, 2);
    const slow = ops.readAsync(x);
    expect(ops.read(y).every((value) => value === 100)).toBe(true);
    expect((await slow).every((value) => value === 50)).toBe(true);
    expect([...ops.read(ops.sum(x))]).toEqual([80_000]);
    for (const tensor of [x, y]) tensor.dispose();
  });

  test("reads what is disposed of while the read is under way", async () => {
    const x = product();
    const slow = ops.readAsync(x);
    x.dispose();
    expect((await slow).every((value) => value === 50)).toBe(true);
  });

  test("an id that a table has no row for gives NaN, not zeros", () => {
    expect(ops.scope(() => [...ops.read(ops.embedding(ops.ones([2, 2]), ops.intTensor([1, 2], [2])))])).toEqual([1, 1, NaN, NaN]);
  });

  test("reads as int32 and bool", () => {
    ops.scope(() => {
      const ids = ops.tf.cast(product(), "int32");
      expect(ids.dataSync()).toEqual(new Int32Array(1600).fill(50));
      expect(ops.tf.greater(product(), 60).dataSync().every((value) => value === 0)).toBe(true);
    });
  });

  test("takes no more memory from step to step", () => {
    const once = (): unknown => ops.scope(() => ops.read(ops.softmax(product())));
    once();
    const [tensors, bytes] = [ops.memory().tensors, backend.status()["bytesAllocated"]];
    for (let i = 0; i < 20; i++) once();
    expect(ops.memory().tensors).toBe(tensors);
    expect(backend.status()["bytesAllocated"]).toBe(bytes);
  });

  test.each([["gelu", -5.543040752410889], ["gelu_new", -5.061380863189697]] as const)("%s is exactly 0 from PyTorch's threshold on and not above", (kind, zero) => {
    const bits = new Int32Array(Float32Array.of(zero).buffer)[0]!;
    const around = Float32Array.from({ length: 2001 }, (_, i) => new Float32Array(Int32Array.of(bits + 1000 - i).buffer)[0]!);
    const wide = Float32Array.from({ length: 2000 }, (_, i) => -15 + i / 100);
    for (const x of [around, wide]) {
      const y = ops.scope(() => ops.read(ops.activation(ops.tensor(x, [x.length]), kind)));
      expect(y.findIndex((value, i) => (value === 0) !== (x[i]! <= zero || x[i] === 0))).toBe(-1);
    }
  });

  test("lets the process end by itself, and leaves no navigator behind", () => {
    const script = `
      import { BACKEND, Kernel, ops } from "@deft-js/core";
      import webgpu from "@deft-js/plugin-backend-webgpu";
      const before = globalThis.navigator;
      await new Kernel().use(webgpu).create(BACKEND, "webgpu").start({ software: true });
      if (globalThis.navigator !== before) throw new Error("another navigator");
      console.log(ops.read(ops.matMul(ops.ones([30, 40]), ops.ones([40, 30])))[0]);`;
    const out = execFileSync(process.execPath, ["--conditions=@deft-js/source", "--import", "tsx", "--input-type=module", "--eval", script], { encoding: "utf8", timeout: 50_000, cwd: import.meta.dirname });
    expect(out.trim()).toBe("40");
  });
});
