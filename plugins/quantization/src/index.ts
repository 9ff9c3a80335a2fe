export { bitsandbytesLayout } from "./bitsandbytes-layout.ts";
export { FP4, NF4, type Codebook4 } from "./codebooks.ts";
export { DYNAMIC_MAP } from "./dynamic-map.ts";
export { DEFAULT_KEEP, fp4, int8, nf4, type FourBitOptions, type Int8Options } from "./formats.ts";
export { quantizationPlugin, quantizationPlugin as default } from "./plugin.ts";
export { quantizeModel, type QuantizationReport } from "./quantize.ts";
export { QuantizedWeight } from "./quantized-weight.ts";
export { quantize, type QuantizeOptions } from "./stage.ts";
