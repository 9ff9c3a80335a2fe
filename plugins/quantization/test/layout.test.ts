import { ops, type Weight, type WeightFormat } from "@deft-js/core";
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
