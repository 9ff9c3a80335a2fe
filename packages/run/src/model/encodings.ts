import type { Model, WeightFormat } from "@deft-js/core";

/** The formats of the linear layers that are not dense, by path. */
export function encodings(model: Model): Map<string, WeightFormat> {
  return new Map(model.sites("linear").flatMap(({ path, weight }) => (weight?.encoding === undefined ? [] : [[path, weight.encoding] as const])));
}

/** The same formats, each once. */
export function formatsOf(model: Model): readonly WeightFormat[] {
  return [...new Map([...encodings(model).values()].map((format) => [formatKey(format), format])).values()];
}

/** What two formats have in common that hold a matrix in the same way. */
export function formatKey({ id, options }: Pick<WeightFormat, "id" | "options">): string {
  return JSON.stringify([id, options]);
}
