import { ops, type StoredTensor, type TensorSource, type Weight, type WeightFormat } from "@deft-js/core";
import { expect, test } from "vitest";
import { bitsandbytesLayout, int8, nf4 } from "../src/index.ts";

test("a folder of two formats is refused, whichever comes first", () => {
  const encoded = (format: WeightFormat): Weight => format.encode("a", new ops.Rng(1).normals(64 * 64, 1), { dOut: 64, dIn: 64 });
  for (const formats of [[int8(), nf4()], [nf4(), int8()]]) {
    const weights = new Map(formats.map((format, i) => [`layer.${i}`, encoded(format)]));
    expect(() => bitsandbytesLayout.describe(weights, [])).toThrow(expect.objectContaining({ code: "checkpoint.quantized", message: expect.stringContaining("one format") }));
    for (const weight of weights.values()) weight.dispose();
  }
});

test("int8 rows in an order of old GPUs are refused by name", async () => {
  const weight = int8().encode("a", new ops.Rng(1).normals(12, 1), { dOut: 3, dIn: 4 });
  const stored = new Map((bitsandbytesLayout.write("a", weight) ?? []).map((tensor) => [tensor.name, tensor]));
  weight.dispose();
  const opened = async (order: number): Promise<TensorSource> => {
    const all = new Map(stored).set("a.weight_format", { name: "a.weight_format", dtype: "U8", shape: [1], bytes: Uint8Array.of(order) });
    const held = (name: string): StoredTensor => all.get(name) as StoredTensor;
    const source: TensorSource = { names: () => [...all.keys()], shape: (name) => held(name).shape, read: () => Promise.reject(new Error("raw")), readRaw: (name) => Promise.resolve(held(name)) };
    return (await bitsandbytesLayout.open({ quantization_config: { quant_method: "bitsandbytes" } }, source))!.source;
  };
  expect((await (await opened(0)).read("a.weight")).length).toBe(12);
  await expect((await opened(2)).read("a.weight")).rejects.toMatchObject({ code: expect.stringMatching(/^checkpoint\./) as string, message: expect.stringContaining("a.weight_format") as string });
});
