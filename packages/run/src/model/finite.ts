import { DeftError, type NamedArray, type TensorSource } from "@deft-js/core";

/** A source whose values are all finite. Reading throws `checkpoint.nonfinite`, which names the tensor. */
export function finiteSource(source: TensorSource, who: string): TensorSource {
  return {
    ...forwarded(source),
    names: () => source.names(),
    shape: (name) => source.shape(name),
    async read(name, room) {
      const values = await source.read(name, room);
      checkFinite({ name, values }, who);
      return values;
    },
  };
}

/** A source that gives each matrix as its float32 values alone, decoded where the file holds it in another format. */
export function denseSource(source: TensorSource): TensorSource {
  return { names: () => source.names(), shape: (name) => source.shape(name), read: (name, room) => source.read(name, room) };
}

/** Throws `checkpoint.nonfinite`, which names the tensor, where a value is not finite. */
export function checkFinite({ name, values }: Pick<NamedArray, "name" | "values">, who: string): void {
  const at = firstNonfinite(values);
  if (at >= 0) throw new DeftError("checkpoint.nonfinite", `${who}: weights must be finite, got ${values[at]} in ${name} at index ${at}. Fetch or train the checkpoint again.`);
}

/** The index of the first NaN or infinity, −1 for none. */
function firstNonfinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** A source with some tensors put in front of another's. */
export function overlaySource(source: TensorSource, over: ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: Float32Array }>): TensorSource {
  return {
    ...forwarded(source, (name) => over.has(name)),
    names: () => [...new Set([...over.keys(), ...source.names()])],
    shape: (name) => over.get(name)?.shape ?? source.shape(name),
    read: (name, room) => over.get(name)?.values ?? source.read(name, room),
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
