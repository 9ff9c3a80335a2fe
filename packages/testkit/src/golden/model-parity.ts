import { batchTensors, ops, transposeMatrix, type LossTerm, type Model } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { demandClose, maxAbs } from "../compare.ts";
import { tapeGradients } from "../gradient-check.ts";
import type { Tensors } from "./fixture.ts";
import { demandActivations, demandCounts, demandDensities, demandOutputs, STACK, valuesOf, type GoldenForward } from "./outputs.ts";

/** A model without any method, and what the reference computed with the same numbers. */
export interface ModelParitySubject extends GoldenForward {
  load(): Promise<Model>;
  /** By Hugging Face name, in file layout: of the loss + density at ε = 1e-3. */
  readonly gradients: Tensors;
  /** The density loss with padding counted. */
  density(epsilon: number): LossTerm;
}

/** Whole tensors and every parameter's gradient against the reference, at the fixtures' tolerances. */
export function modelParityChecks(subject: ModelParitySubject): readonly Check[] {
  return [
    { name: "logits and loss", run: () => onLoaded(subject, (model) => demandOutputs(subject, model)) },
    { name: "hidden states", run: () => onLoaded(subject, (model) => demandHiddenStates(subject, model)) },
    { name: "MLP activations", run: () => onLoaded(subject, (model) => demandActivations(subject, model)) },
    { name: "density of every layer and example", run: () => onLoaded(subject, (model) => demandDensities(subject, model)) },
    { name: "non-zeros of every layer and example", run: () => onLoaded(subject, (model) => demandCounts(subject, model)) },
    { name: "the same with every site wrapped, so that no fused path is taken", run: () => onLoaded(subject, (model) => demandUnfused(subject, model)) },
    { name: "gradients of every parameter, with the density loss at ε = 1e-3", run: () => onLoaded(subject, (model) => demandGradients(subject, model)) },
  ];
}

async function onLoaded({ load }: ModelParitySubject, body: (model: Model) => void): Promise<void> {
  const model = await load();
  try {
    ops.scope(() => body(model));
  } finally {
    model.dispose();
  }
}

function demandHiddenStates({ batch, expected, outputs = 1e-5 }: ModelParitySubject, model: Model): void {
  const states = model.forward(batchTensors(batch), { hiddenStates: true }).hiddenStates;
  const last = (name: string): number => Number(name.split(".").at(-1));
  const names = Object.values(STACK).flatMap((stack) => [...expected.keys()].filter((name) => name.startsWith(`hidden_states.${stack}.`)).sort((a, b) => last(a) - last(b)));
  demand(names.length > 0 && names.length === states.length, `hidden states: must be the reference's ${names.length}, got ${states.length}`);
  for (const [i, name] of names.entries()) demandClose({ name, actual: ops.read(states[i] as ops.Tensor), expected: valuesOf(expected, name), tolerance: outputs, relativeTo: "max" });
}

function demandUnfused(subject: ModelParitySubject, model: Model): void {
  for (const kind of ["embedding", "linear", "attention", "residual", "activation", "mlp"] as const) for (const site of model.sites(kind)) site.wrap((x, base) => base(x) as never);
  demandOutputs(subject, model);
  demandActivations(subject, model);
}

function demandGradients({ batch, gradients, density }: ModelParitySubject, model: Model): void {
  const tensors = batchTensors(batch);
  const term = density(1e-3);
  const variables = [...model.parameters().values()];
  for (const variable of variables) variable.trainable = true;
  const found = tapeGradients(() => {
    const result = model.forward(tensors, term.taps);
    return ops.add(model.loss(result, tensors), term.compute(result, tensors, { step: 0, totalSteps: 1, epoch: 0 }));
  }, variables);
  demand(gradients.size === found.size, `gradients: must be of the reference's ${gradients.size} parameters, got ${found.size}`);
  const reference = Math.max(...[...gradients.values()].map(({ values }) => maxAbs(values)));
  for (const { path, shape } of variables) {
    const values = found.get(path) as Float32Array;
    const inFile = shape.length === 2 && isTransposed(shape, gradients.get(path)?.shape, path, model) ? transposeMatrix(values, shape[0] ?? 0, shape[1] ?? 0) : values;
    demandClose({ name: `gradient of ${path}`, actual: inFile, expected: valuesOf(gradients, path), tolerance: 1e-4, relativeTo: "max", reference });
  }
}

/** Whether a parameter is the matrix of a linear site, which is held the other way round than in the file. */
function isTransposed(held: readonly number[], inFile: readonly number[] = [], path: string, model: Model): boolean {
  demand([...held].sort().join() === [...inFile].sort().join(), `gradient of ${path}: must have the sizes [${inFile}], got [${held}]`);
  return model.sites("linear").some((site) => `${site.path}.weight` === path);
}
