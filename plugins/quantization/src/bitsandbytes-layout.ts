import { DeftError, type ModelConfig, type StoredTensor, type TensorSource, type Weight, type WeightLayout } from "@deft-js/core";
import { readFourBit, readInt8, type StoredReader } from "./bitsandbytes-read.ts";
import { writeFourBit, writeInt8 } from "./bitsandbytes-write.ts";
import { QuantizedWeight } from "./quantized-weight.ts";

const KEY = "quantization_config";
const STATE = /^(.+)\.weight\.quant_state\.bitsandbytes__(?:nf4|fp4)$/;
const BESIDE = /\.weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__(?:nf4|fp4))$|\.(?:SCB|weight_format)$/;

/**
 * The layout in which transformers saves models that bitsandbytes quantized: 4 bit as PATH.weight (packed bytes), .absmax, .quant_map, .nested_absmax,
 * .nested_quant_map and .quant_state.bitsandbytes__nf4; 8 bit as PATH.weight (int8) with PATH.SCB; `quantization_config` in config.json.
 */
export const bitsandbytesLayout: WeightLayout = {
  id: "bitsandbytes",
  async open(config, source) {
    const told = config[KEY] as { quant_method?: unknown } | undefined;
    if (told === undefined || told === null || told.quant_method !== "bitsandbytes") return undefined;
    const { [KEY]: _, ...rest } = config;
    return { source: await quantizedSource(source), config: rest };
  },
  write(path, weight) {
    if (!(weight instanceof QuantizedWeight)) return undefined;
    const { matrix } = weight;
    if (matrix.encoding === "codebook4") return writeFourBit(path, weight);
    return matrix.blockSize === matrix.dIn && "values" in matrix.scales ? writeInt8(path, matrix, matrix.scales.values) : undefined;
  },
  describe,
};

/** A source whose quantized matrices have their own shape, values and weight. */
async function quantizedSource(source: TensorSource): Promise<TensorSource> {
  const { readRaw } = source;
  if (readRaw === undefined) throw new DeftError("checkpoint.quantized", "bitsandbytes: the weights must be read as they are stored, got a source of float32 values alone. Load the model from its folder.");
  const raw = (name: string): Promise<StoredTensor> => readRaw.call(source, name);
  const names = new Set(source.names());
  const readers = new Map<string, StoredReader>();
  for (const name of names) {
    const path = STATE.exec(name)?.[1];
    if (path !== undefined) readers.set(`${path}.weight`, await readFourBit({ path, stateName: name, names, raw }));
    else if (name.endsWith(".SCB")) readers.set(name.replace(/SCB$/, "weight"), readInt8({ path: name.slice(0, -4), names, shape: source.shape(name.replace(/SCB$/, "weight")), raw }));
  }
  return {
    names: () => [...names].filter((name) => !BESIDE.test(name)),
    shape: (name) => readers.get(name)?.shape ?? source.shape(name),
    read: async (name) => (await readers.get(name)?.values()) ?? source.read(name),
    readRaw: raw,
    weight: (name) => readers.get(name)?.weight(),
  };
}

/** `quantization_config` as transformers writes it. */
function describe(written: ReadonlyMap<string, Weight>, dense: readonly string[]): ModelConfig {
  const weights = [...written.values()].filter((weight) => weight instanceof QuantizedWeight);
  const first = weights[0]?.matrix;
  if (first === undefined) return {};
  const fourBit = first.encoding === "codebook4";
  const common = { quant_method: "bitsandbytes", load_in_4bit: fourBit, load_in_8bit: !fourBit, llm_int8_skip_modules: [...dense] };
  const types = new Set(weights.map(({ format }) => format));
  if (types.size > 1) throw new DeftError("checkpoint.quantized", `bitsandbytes: one folder holds one format, got ${[...types].join(" and ")}. Quantize all layers alike.`);
  if (!fourBit) return { [KEY]: { ...common, llm_int8_threshold: 0 } };
  return { [KEY]: { ...common, bnb_4bit_quant_type: weights[0]?.format, bnb_4bit_use_double_quant: "codes" in first.scales, bnb_4bit_compute_dtype: "float32", bnb_4bit_quant_storage: "uint8" } };
}
