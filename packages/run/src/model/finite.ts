import { DeftError, type TensorSource } from "@deft-js/core";

/** A source whose values are all finite. Reading throws `checkpoint.nonfinite`, which names the tensor. */
export function finiteSource(source: TensorSource, who: string): TensorSource {
  return {
    ...forwarded(source),
    names: () => source.names(),
    shape: (name) => source.shape(name),
    async read(name) {
      const values = await source.read(name);
      const at = values.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) throw new DeftError("checkpoint.nonfinite", `${who}: weights must be finite, got ${values[at]} in ${name} at index ${at}. Fetch or train the checkpoint again.`);
      return values;
    },
  };
}

/** A source with some tensors put in front of another's. */
export function overlaySource(source: TensorSource, over: ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>): TensorSource {
  return {
    ...forwarded(source, (name) => over.has(name)),
    names: () => [...new Set([...over.keys(), ...source.names()])],
    shape: (name) => over.get(name)?.shape ?? source.shape(name),
    read: (name) => over.get(name)?.values ?? source.read(name),
  };
}

/** What a source gives besides values, but for the names that something else stands in front of. */
function forwarded(source: TensorSource, hidden: (name: string) => boolean = () => false): Pick<TensorSource, "readRaw" | "weight"> {
  const { readRaw, weight } = source;
  return {
    ...(readRaw === undefined ? {} : { readRaw: (name) => readRaw.call(source, name) }),
    ...(weight === undefined ? {} : { weight: (name) => (hidden(name) ? undefined : weight.call(source, name)) }),
  };
}
