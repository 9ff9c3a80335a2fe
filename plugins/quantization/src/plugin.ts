import { definePlugin, STAGE, WEIGHT_FORMAT, WEIGHT_LAYOUT, type Plugin } from "@deft-js/core";
import { bitsandbytesLayout } from "./bitsandbytes-layout.ts";
import { fourBitSchema, fp4, int8, int8Schema, nf4, type FourBitOptions, type Int8Options } from "./formats.ts";
import { quantize, quantizeSchema, type QuantizeOptions } from "./stage.ts";

/** Registers the weight formats `nf4`, `fp4` and `int8`, bitsandbytes' layout of them in model folders, and the stage `quantize`. */
export const quantizationPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-quantization",
  version: "0.1.0",
  core: "^0.1",
  provides: ["weight-format:nf4", "weight-format:fp4", "weight-format:int8", "stage:quantize"],
  register(registry) {
    registry.add(WEIGHT_FORMAT, { id: "nf4", summary: "4-bit NormalFloat, bitsandbytes' bits (arXiv:2305.14314)", options: fourBitSchema, create: (options: FourBitOptions) => nf4(options) });
    registry.add(WEIGHT_FORMAT, { id: "fp4", summary: "4-bit floating point, bitsandbytes' bits", options: fourBitSchema, create: (options: FourBitOptions) => fp4(options) });
    registry.add(WEIGHT_FORMAT, { id: "int8", summary: "8-bit integers with a scale for each output", options: int8Schema, create: (options: Int8Options) => int8(options) });
    registry.add(WEIGHT_LAYOUT, { id: "bitsandbytes", summary: "4- and 8-bit weights as transformers saves them", create: () => bitsandbytesLayout });
    registry.add(STAGE, { id: "quantize", summary: "Puts the linear layers into 4 or 8 bits", options: quantizeSchema, create: (options: QuantizeOptions) => quantize(options) });
  },
});
