import { ops } from "@deft-js/core";
import { beforeAll, describe, expect, test } from "vitest";
import { create, noAdapter } from "./adapter.ts";

describe.skipIf(noAdapter !== undefined)("a device that reports an error", () => {
  beforeAll(() => create().start({ software: true }));

  test("fails the next read and all that follow, in place of zeros", async () => {
    const small = ops.matMul(ops.ones([40, 40]), ops.ones([40, 40]));
    const large = ops.scope(() => ops.sum(ops.tf.fill([200_000, 200_000], 1))); // 160 GB
    const refusal = { code: "backend.device", message: expect.stringMatching(/must compute without an error, got: .*smaller batches/s) as unknown };
    await expect(ops.readAsync(large)).rejects.toMatchObject(refusal);
    expect(() => ops.read(small)).toThrow(expect.objectContaining(refusal));
  });
});
