import { DenseWeight, ops, transposeMatrix, type ModelConfig, type StoredTensor, type TensorSource, type Weight, type WeightFormat, type WeightLayout } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { weightFormatChecks, type Check, type WeightFormatSubject } from "../src/index.ts";
import { failures } from "./failures.ts";

type Flaw =
  | "zeros" | "transposed" | "product" | "gradient" | "bytes" | "encoding" | "kept" | "leak" | "export" | "layout" | "key" | "beside"
  | "scale" | "undescribed" | "reencoded" | "dtype" | "short" | "bias" | "alone" | "blank" | "claim";

/** Whole multiples of 1/64 in bytes, held as what they stand for. */
class FixedPoint implements Weight {
  readonly shape: readonly [number, number];
  readonly format = "fixed-point";
  readonly encoding: WeightFormat | undefined;
  readonly #flaw: Flaw | undefined;
  readonly #given: Float32Array;
  readonly #weight: DenseWeight;

  constructor(values: Float32Array, { dOut, dIn, flaw }: { readonly dOut: number; readonly dIn: number; readonly flaw?: Flaw | undefined }) {
    this.shape = [dIn, dOut];
    this.encoding = flaw === "encoding" ? undefined : { ...fixedPoint(flaw === "reencoded" ? "zeros" : flaw), ...(flaw === "undescribed" && { options: { bits: 8 } }) };
    this.#flaw = flaw;
    this.#given = values;
    const top = flaw === "scale" ? Math.max(...values.slice(dIn, 2 * dIn)) : 1;
    const rounded = values.map((value) => (flaw === "zeros" ? 0 : (Math.round(value * 64) / 64) * (top / top)));
    const held = flaw === "transposed" ? rounded : transposeMatrix(rounded, dOut, dIn);
    this.#weight = new DenseWeight(ops.Variable.from("held", held, [dIn, dOut], { trainable: false }));
  }

  get bytes(): number {
    return this.#weight.bytes / (this.#flaw === "bytes" ? 1 : 4);
  }

  apply(x: ops.Tensor, bias?: ops.Tensor): ops.Tensor {
    const y = this.#weight.apply(this.#flaw === "gradient" ? ops.add(x, ops.sub(x, x.clone())) : x, bias);
    return this.#flaw === "product" ? ops.scale(y, 1.001) : y;
  }

  dense(): ops.Tensor {
    if (this.#flaw === "kept") return ops.tensor(transposeMatrix(this.#given.map((value) => Math.round(value * 64) / 64), this.shape[1], this.shape[0]), this.shape);
    return this.#flaw === "export" ? ops.add(this.#weight.dense(), ops.tensor(new ops.Rng(++draws).normals(this.shape[0] * this.shape[1], 1e-9), this.shape)) : this.#weight.dense();
  }

  dispose(): void {
    if (this.#flaw !== "leak") this.#weight.dispose();
  }
}

let draws = 0;

const fixedPoint = (flaw?: Flaw): WeightFormat => ({ id: "fixed-point", options: {}, encode: (_path, values, shape) => new FixedPoint(values, { ...shape, flaw }) });

/** PATH.weight as multiples of 1/64. */
function layout(flaw?: Flaw): WeightLayout {
  return {
    id: "toy",
    open(config: ModelConfig, source: TensorSource) {
      if (config["toy"] !== true) return Promise.resolve(undefined);
      const { toy: _, ...rest } = config;
      const own = (name: string): boolean => flaw === "claim" || source.names().includes(name.replace(/(\.weight)?$/, ".unit"));
      const decoded = async (name: string): Promise<Weight> => {
        const { bytes, shape: [dOut = 0, dIn = 0] } = (await source.readRaw?.(name)) as StoredTensor;
        return new FixedPoint(Float32Array.from(new Int8Array(bytes), (code) => code / (flaw === "layout" ? 8 : 64)), { dOut, dIn });
      };
      const weight = (name: string): Promise<Weight> | undefined => (own(name) ? decoded(name) : undefined);
      const read = async (name: string): Promise<Float32Array> => {
        if (!own(name)) return flaw === "blank" ? new Float32Array((await source.read(name)).length) : source.read(name);
        const made = await decoded(name);
        const values = transposeMatrix(ops.scope(() => ops.read(made.dense())), ...made.shape);
        made.dispose();
        return values;
      };
      const shown = (name: string): boolean => flaw === "beside" || (flaw === "alone" ? own(name) : !name.endsWith(".unit"));
      return Promise.resolve({ config: flaw === "key" ? config : rest, source: { ...source, names: () => source.names().filter(shown), weight, read } });
    },
    write(path, weight) {
      const [dIn, dOut] = weight.shape;
      const values = transposeMatrix(ops.scope(() => ops.read(weight.dense())), dIn, dOut);
      return [{ name: `${path}.weight`, dtype: flaw === "dtype" ? "INT8" : "I8", shape: [dOut, dIn], bytes: new Uint8Array(Int8Array.from(values, (value) => value * 64).buffer) }, { name: `${path}.${flaw === "bias" ? "bias" : "unit"}`, dtype: flaw === "short" ? "F32" : "U8", shape: [1], bytes: Uint8Array.of(64) }];
    },
    describe: () => ({ toy: true }),
  };
}

const checks = (flaw?: Flaw, more: Partial<WeightFormatSubject> = { error: 0.05 }): readonly Check[] =>
  weightFormatChecks({ format: () => fixedPoint(flaw), bytes: (dOut, dIn) => dOut * dIn, layout: layout(flaw), ...more });

/** Which check each flaw must be caught by. */
const CAUGHT: Readonly<Record<Flaw, string>> = {
  zeros: "stands for the values that it was given",
  transposed: "stands for the values that it was given",
  product: "applies as its dense matrix does",
  gradient: "has the input gradient of its dense matrix",
  bytes: "tells its bytes and names its encoding",
  encoding: "tells its bytes and names its encoding",
  kept: "keeps neither the given values nor tensors",
  leak: "keeps neither the given values nor tensors",
  export: "takes its place in a model, and is exported dense",
  layout: "comes back from the layout toy",
  key: "comes back from the layout toy",
  beside: "comes back from the layout toy",
  scale: "holds zeros as zeros",
  undescribed: "encodes the same by its encoding",
  reencoded: "encodes the same by its encoding",
  dtype: "comes back from the layout toy",
  short: "comes back from the layout toy",
  bias: "comes back from the layout toy",
  alone: "comes back from the layout toy",
  blank: "comes back from the layout toy",
  claim: "comes back from the layout toy",
};

describe("weightFormatChecks", () => {
  it("passes a sound format, by its error or by what it makes of the values", async () => {
    expect(await failures(checks())).toEqual(new Map());
    expect(await failures(checks(undefined, { expected: (values) => values.map((value) => Math.round(value * 64) / 64) }))).toEqual(new Map());
  });

  it.each(Object.entries(CAUGHT))("catches the flaw %s", async (flaw, name) => {
    const found = await failures(checks(flaw as Flaw));
    expect([...found.keys()]).toContain(name);
    expect(found.get(name)).not.toMatch(/^not a demand/);
  });

  it("holds a format without a word of its error to the values themselves", async () => {
    expect([...(await failures(checks(undefined, {}))).keys()]).toEqual(["stands for the values that it was given"]);
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT))).toEqual(new Set(checks().map(({ name }) => name))));
});
