type Stages = readonly Record<string, unknown>[];

/** What is done to the base model before it is fine-tuned on a task, as stages of a recipe, by the name in the table. */
export function bases(task: Readonly<Record<string, unknown>>): Readonly<Record<string, Stages>> {
  const wanda = (amount: Readonly<Record<string, unknown>>): Record<string, unknown> => ({ prune: { wanda: { ...amount, calibration: { task, samples: 128 } } } });
  return {
    dense: [],
    NF4: [{ quantize: { format: "nf4" } }],
    int8: [{ quantize: { format: "int8" } }],
    "WANDA 50 %": [wanda({ sparsity: 0.5 })],
    "WANDA 2:4": [wanda({ pattern: "2:4" })],
    "WANDA 50 % + NF4": [wanda({ sparsity: 0.5 }), { quantize: { format: "nf4" } }],
  };
}
