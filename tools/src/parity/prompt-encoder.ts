import { PEFT_METHOD, transposeMatrix, type AdapterLayout, type Attachment, type Kernel, type NamedArray, type PeftMethod } from "@deft-js/core";

/** HF PEFT's projected prefix in memory, under our tool's short names: what its files do not hold. */
const EMBEDDING = "prompt_embeddings";
const PROJECTION = "prompt_encoder.default.transform";

/** The method of a projected prefix, whose values are in memory alone; undefined for any other configuration. */
export function projectedPrefix(kernel: Kernel, config: Readonly<Record<string, unknown>>): PeftMethod | undefined {
  if (config["peft_type"] !== "PREFIX_TUNING" || config["prefix_projection"] !== true) return undefined;
  return kernel.create(PEFT_METHOD, "prefix", { virtualTokens: config["num_virtual_tokens"], projectionSize: config["encoder_hidden_size"], compat: "peft" });
}

/** A projected prefix under the names and in the shapes that its parameters have in HF PEFT's memory: the cut columns of W₂ are rows there. */
export function projectedInMemory(attachment: Attachment): Pick<AdapterLayout, "write" | "read"> {
  const [embedding, down, ...rest] = attachment.state();
  const ups = rest.slice(1);
  const weights = ups.filter(({ name }) => name.endsWith(".weight"));
  const biases = ups.filter(({ name }) => name.endsWith(".bias"));
  if (embedding === undefined || down === undefined) throw new Error("parity: a projected prefix must have an embedding and a projection");
  const [dIn = 0, inner = 0] = down.shape;
  return {
    write: () => {
      const now = new Map(attachment.state().map((array) => [array.name, array.values]));
      const values = ({ name }: NamedArray): Float32Array => now.get(name) as Float32Array;
      return [
        { name: EMBEDDING, shape: embedding.shape, values: values(embedding) },
        { name: `${PROJECTION}.0.weight`, shape: [inner, dIn], values: transposeMatrix(values(down), dIn, inner) },
        { name: `${PROJECTION}.0.bias`, shape: [inner], values: values(rest[0] as NamedArray) },
        { name: `${PROJECTION}.2.weight`, shape: [weights.length * dIn, inner], values: joined(weights.map((one) => transposeMatrix(values(one), inner, dIn))) },
        { name: `${PROJECTION}.2.bias`, shape: [biases.length * dIn], values: joined(biases.map(values)) },
      ];
    },
    read: (tensors) => {
      const take = (name: string): Float32Array => (tensors.get(name) as NamedArray).values;
      const part = (name: string, i: number, size: number): Float32Array => take(name).slice(i * size, (i + 1) * size);
      const state = new Map<string, Float32Array>([[embedding.name, take(EMBEDDING)], [down.name, transposeMatrix(take(`${PROJECTION}.0.weight`), inner, dIn)], [(rest[0] as NamedArray).name, take(`${PROJECTION}.0.bias`)]]);
      for (const [i, { name, values }] of weights.entries()) state.set(name, transposeMatrix(part(`${PROJECTION}.2.weight`, i, values.length), dIn, inner));
      for (const [i, { name, values }] of biases.entries()) state.set(name, part(`${PROJECTION}.2.bias`, i, values.length));
      attachment.loadState(attachment.state().map((array) => ({ ...array, values: state.get(array.name) as Float32Array })));
    },
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}
