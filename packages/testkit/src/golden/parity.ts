import { batchTensors, ops, type Attachment, type LossTerm, type Model, type NamedArray } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { demandClose, maxAbs } from "../compare.ts";
import { tapeGradients } from "../gradient-check.ts";
import type { Tensors } from "./fixture.ts";
import { demandActivations, demandCounts, demandDensities, demandOutputs, valuesOf, type GoldenForward } from "./outputs.ts";

/** A model with a method, and what the reference computed with the same numbers. */
export interface PeftParitySubject extends GoldenForward {
  /** The model with the method attached and the reference's values in place. */
  load(): Promise<{ readonly model: Model; readonly attachment: Attachment }>;
  /** `task_only/NAME`, `eps0.001/NAME`, `eps1e-07/NAME`. */
  readonly gradients: Tensors;
  /** The attachment's values under the reference's parameter names. */
  write(attachment: Attachment): readonly NamedArray[];
  /** The reference's name of a head parameter of ours. */
  headName(name: string): string;
  /** The density loss with padding counted. */
  density(epsilon: number): LossTerm;
}

/** Whole tensors and every trainable parameter's gradient against the reference, at the fixtures' tolerances. */
export function peftParityChecks(subject: PeftParitySubject): readonly Check[] {
  return [
    { name: "logits and loss", run: () => onLoaded(subject, (model) => demandOutputs(subject, model)) },
    { name: "MLP activations", run: () => onLoaded(subject, (model) => demandActivations(subject, model)) },
    { name: "density of every layer and example", run: () => onLoaded(subject, (model) => demandDensities(subject, model)) },
    { name: "non-zeros of every layer and example", run: () => onLoaded(subject, (model) => demandCounts(subject, model)) },
    { name: "gradients of the task's loss", run: () => demandGradients(subject, "task_only", 1e-4) },
    { name: "gradients with the density loss, ε = 1e-3", run: () => demandGradients(subject, "eps0.001", 1e-4, 1e-3) },
    { name: "gradients with the density loss, ε = 1e-7", run: () => demandGradients(subject, "eps1e-07", 2e-3, 1e-7) },
  ];
}

async function onLoaded(subject: PeftParitySubject, body: (model: Model, attachment: Attachment) => void): Promise<void> {
  const { model, attachment } = await subject.load();
  try {
    ops.scope(() => body(model, attachment));
  } finally {
    attachment.detach();
    model.dispose();
  }
}

function demandGradients(subject: PeftParitySubject, label: string, tolerance: number, epsilon?: number): Promise<void> {
  const { gradients, batch, write, headName } = subject;
  return onLoaded(subject, (model, attachment) => {
    const tensors = batchTensors(batch);
    const term = epsilon === undefined ? undefined : subject.density(epsilon);
    const objective = (): ops.Tensor => {
      const result = model.forward(tensors, term?.taps);
      const task = model.loss(result, tensors);
      return term === undefined ? task : ops.add(task, term.compute(result, tensors, { step: 0, totalSteps: 1, epoch: 0 }));
    };
    const found = tapeGradients(objective, [...attachment.variables, ...model.headParameters()]);
    const named = [...ours(attachment, found, write), ...headGradients(model, found, headName)];
    const reference = Math.max(...[...gradients].filter(([name]) => name.startsWith(`${label}/`)).map(([, { values }]) => maxAbs(values)));
    const names = [...gradients.keys()].filter((name) => name.startsWith(`${label}/`));
    demand(names.length === named.length, `gradients ${label}: must be of the reference's ${names.length} parameters, got ${named.length}`);
    for (const { name, values } of named)
      demandClose({ name: `gradient of ${name}`, actual: values, expected: valuesOf(gradients, `${label}/${name}`), tolerance, relativeTo: "max", reference });
  });
}

/** The gradients in the reference's layout: written as if they were the attachment's values. */
function ours(attachment: Attachment, found: ReadonlyMap<string, Float32Array>, write: PeftParitySubject["write"]): readonly NamedArray[] {
  attachment.loadState(attachment.variables.map(({ path, shape }) => ({ name: path, shape, values: found.get(path) as Float32Array })));
  return write(attachment);
}

function headGradients(model: Model, found: ReadonlyMap<string, Float32Array>, headName: (name: string) => string): readonly NamedArray[] {
  const shapes = new Map([...model.exportParameters()].map(({ name, shape }) => [name, shape]));
  return model.headParameters().map(({ path }) => {
    const [rows = 0, columns] = shapes.get(path) ?? [];
    const values = found.get(path) as Float32Array;
    const turned = columns === undefined ? values : Float32Array.from(values, (_, i) => values[(i % columns) * rows + Math.floor(i / columns)] as number);
    return { name: headName(path), shape: shapes.get(path) ?? [], values: turned };
  });
}
