/** What is done to the base model before it is fine-tuned, as stages of a recipe, by the name in the table. */
export const BASES: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  dense: [],
  NF4: [{ quantize: { format: "nf4" } }],
  int8: [{ quantize: { format: "int8" } }],
};
