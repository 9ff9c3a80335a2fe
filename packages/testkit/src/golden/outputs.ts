import { batchTensors, ops, type HostBatch, type Model } from "@deft-js/core";
import { demand } from "../check.ts";
import { demandClose, maxAbs } from "../compare.ts";
import type { Tensors } from "./fixture.ts";

/** What the reference computed in a forward pass. */
export interface GoldenForward {
  readonly batch: HostBatch;
  /** `logits`, `loss`, `mlp_act.STACK.LAYER`, `density_l0.epsE.STACK`, `density_count_nonzero.STACK`. */
  readonly expected: Tensors;
  /** The allowed error of logits and activations as a share of the tensor's largest value; 1e-5 when left out. */
  readonly outputs?: number;
  /** How many elements of a layer may differ in being exactly 0; 0 unless activations lie within rounding of the threshold. */
  readonly countSlack?: number;
}

/** The values of a tensor that the fixture must hold. */
export function valuesOf(tensors: Tensors, name: string): Float32Array {
  const found = tensors.get(name);
  demand(found !== undefined, `fixture: must hold ${name}, got no such tensor`);
  return found.values;
}

/** Logits and loss. */
export function demandOutputs({ batch, expected, outputs = 1e-5 }: GoldenForward, model: Model): void {
  const tensors = batchTensors(batch);
  const result = model.forward(tensors);
  demandClose({ name: "logits", actual: ops.read(result.logits), expected: valuesOf(expected, "logits"), tolerance: outputs, relativeTo: "max" });
  const loss = valuesOf(expected, "loss");
  demandClose({ name: "loss", actual: ops.read(model.loss(result, tensors)), expected: loss, tolerance: 2e-6, relativeTo: "max", reference: Math.max(1, maxAbs(loss)) });
}

/** How the fixtures call the stacks. */
export const STACK = { encoder: "enc", decoder: "dec" } as const;

function activationsOf({ batch }: GoldenForward, model: Model) {
  return model.forward(batchTensors(batch), { activations: true }).activations;
}

/** The tapped activations of every layer. */
export function demandActivations(subject: GoldenForward, model: Model): void {
  for (const { stack, layer, value } of activationsOf(subject, model)) {
    const name = `mlp_act.${STACK[stack]}.${layer}`;
    demandClose({ name, actual: ops.read(value), expected: valuesOf(subject.expected, name), tolerance: subject.outputs ?? 1e-5, relativeTo: "max" });
  }
}

/** The penalty of every layer and example, padding counted. */
export function demandDensities(subject: GoldenForward, model: Model): void {
  const activations = activationsOf(subject, model);
  for (const [epsilon, label] of [[1e-7, "1e-07"], [1e-3, "0.001"]] as const)
    for (const { stack, layer, value } of activations) {
      const [size = 0, seq = 0, neurons = 0] = value.shape;
      const weights = ops.scale(ops.ones([size, seq]), 1 / (seq * neurons));
      const name = `density_l0.eps${label}.${STACK[stack]}`;
      demandClose({ name: `${name}, layer ${layer}`, actual: ops.read(ops.densityPenalty(value, { epsilon, weights })), expected: column(subject.expected, name, layer), tolerance: 1e-5, relativeTo: "entry", absolute: 1e-6 });
    }
}

/** The exact non-zeros of every layer and example. */
export function demandCounts(subject: GoldenForward, model: Model): void {
  for (const { stack, layer, value } of activationsOf(subject, model)) {
    const [size = 0, seq = 0, neurons = 0] = value.shape;
    const values = ops.read(value);
    const counts = Array.from({ length: size }, (_, b) => values.subarray(b * seq * neurons, (b + 1) * seq * neurons).filter((a) => a !== 0).length);
    const name = `density_count_nonzero.${STACK[stack]}`;
    const shares = column(subject.expected, name, layer);
    const off = counts.reduce((n, count, b) => n + Math.abs(count - Math.round((shares[b] as number) * seq * neurons)), 0);
    demand(off <= (subject.countSlack ?? 0), `${name}, layer ${layer}: must be the reference's counts within ${subject.countSlack ?? 0}, got ${off} apart`);
  }
}

/** Column `layer` of a [batch, layers] tensor. */
function column(tensors: Tensors, name: string, layer: number): number[] {
  const values = valuesOf(tensors, name);
  const width = tensors.get(name)?.shape[1] ?? 1;
  return Array.from({ length: values.length / width }, (_, b) => values[b * width + layer] as number);
}
