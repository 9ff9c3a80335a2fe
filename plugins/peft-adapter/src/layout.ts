import { transposeMatrix, type AdapterLayout, type Model, type NamedArray, type ops } from "@deft-js/core";
import { FIXED } from "./config.ts";
import type { Bottleneck } from "./bottleneck.ts";
import type { AdapterOptions } from "./options.ts";
import { checkShape, stateError } from "./state.ts";

/** AdapterHub: `PATH.adapters.NAME.adapter_down.0.{weight,bias}` and `adapter_up.{weight,bias}`, weights [dOut, dIn]. */
export function adapterHubLayout(model: Model, bottlenecks: readonly Bottleneck[], options: AdapterOptions): AdapterLayout {
  return {
    config: () => ({
      config: {
        ...FIXED,
        ...options.kept?.adapterhub,
        mh_adapter: options.placement === "houlsby",
        output_adapter: true,
        original_ln_before: options.placement === "pfeiffer",
        non_linearity: options.nonLinearity === "silu" ? "swish" : options.nonLinearity,
        reduction_factor: options.reductionFactor,
        ...(options.dropout > 0 ? { dropout: options.dropout } : {}),
      },
      hidden_size: model.config["hidden_size"] ?? model.config["d_model"],
      model_type: model.family,
    }),
    write: (name) => [...places(bottlenecks, name)].map(([key, variable]) => turned(key, variable.shape, variable.data())),
    read: (tensors, name) => readAll(places(bottlenecks, name), tensors, `.adapters.${name}.`),
  };
}

function places(bottlenecks: readonly Bottleneck[], name: string): Map<string, ops.Variable> {
  return new Map(
    bottlenecks.flatMap(({ site, downWeight, downBias, upWeight, upBias }) => {
      const prefix = `${site.path}.adapters.${name}`;
      return [[`${prefix}.adapter_down.0.weight`, downWeight], [`${prefix}.adapter_down.0.bias`, downBias], [`${prefix}.adapter_up.weight`, upWeight], [`${prefix}.adapter_up.bias`, upBias]] as const;
    }),
  );
}

/** Other tensors (a head's) are left to whoever reads them; those with the adapter's `mark` must all be known. */
function readAll(places: ReadonlyMap<string, ops.Variable>, tensors: ReadonlyMap<string, NamedArray>, mark: string): void {
  for (const name of tensors.keys()) if (name.includes(mark) && !places.has(name)) throw stateError(`takes its own tensors alone, got ${name} besides`);
  const found = [...places].map(([name, variable]) => {
    const array = tensors.get(name);
    if (array === undefined) throw stateError(`needs ${name}, got none of that name`);
    checkShape(name, array, [...variable.shape].reverse());
    return { variable, values: turned(name, array.shape, array.values).values };
  });
  for (const { variable, values } of found) variable.load(values);
}

/** Matrices transposed, vectors as they are. */
function turned(name: string, shape: readonly number[], values: Float32Array): NamedArray {
  const [rows = 0, columns] = shape;
  return columns === undefined ? { name, shape, values } : { name, shape: [columns, rows], values: transposeMatrix(values, rows, columns) };
}
