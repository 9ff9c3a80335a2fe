import { createHash } from "node:crypto";
import { ops, type Attachment, type Model } from "@deft-js/core";

/** The values of a parameter that stand for all of it. */
const SAMPLES = 4;
/** A parameter's bytes in a fingerprint: four of its name's hash, four of each sample. */
const ENTRY = 4 + 4 * SAMPLES;
/** More than another precision of the same weights moves a sample by: bfloat16's rounding, and float16's near 0. */
const RELATIVE = 2 ** -7;
const ABSOLUTE = 1e-7;

/** A model and what is attached to it: their trained parameters are none of the base's. */
export interface Attached {
  readonly model: Model;
  readonly attachments: readonly Attachment[];
}

/**
 * Tells a base model from another by a few values of each of its parameters, those that are trained left out: 20 bytes each, as base64. Float32, float16 and
 * bfloat16 of the same weights are alike to `compareFingerprint`.
 */
export function fingerprint(attached: Attached): string {
  const entries = [...baseParameters(attached)].map(({ name, values }) => {
    const entry = Buffer.alloc(ENTRY);
    entry.writeUInt32LE(hashOf(name));
    for (const [i, value] of samplesOf(values()).entries()) entry.writeFloatLE(value, 4 + 4 * i);
    return entry;
  });
  return Buffer.concat(entries).toString("base64");
}

/** The names of the base's parameters whose values are not those of the fingerprint, and the number of those that it knows. */
export function compareFingerprint(attached: Attached, told: string): { readonly differing: readonly string[]; readonly compared: number } {
  const bytes = Buffer.from(told, "base64");
  const entries = new Map(Array.from({ length: Math.floor(bytes.length / ENTRY) }, (_, i) => [bytes.readUInt32LE(i * ENTRY), bytes.subarray(i * ENTRY + 4, (i + 1) * ENTRY)]));
  const compared = [...baseParameters(attached)].flatMap(({ name, values }) => {
    const entry = entries.get(hashOf(name));
    return entry === undefined ? [] : [{ name, same: samplesOf(values()).every((value, i) => alike(value, entry.readFloatLE(4 * i))) }];
  });
  return { differing: compared.filter(({ same }) => !same).map(({ name }) => name), compared: compared.length };
}

/** Without those that are trained, and those that were never read since their block is skipped. Values are as held: a matrix stands [dIn, dOut]. */
function* baseParameters({ model, attachments }: Attached): Iterable<{ readonly name: string; values(): Float32Array }> {
  const trained = new Set([...attachments.flatMap(({ variables }) => variables), ...model.headParameters()]);
  const dense = model.parameters();
  const weights = new Map(model.sites("linear").map(({ path, weight }) => [`${path}.weight`, weight]));
  for (const { name } of model.exportParameters()) {
    const variable = dense.get(name);
    const weight = weights.get(name);
    if (variable !== undefined && !trained.has(variable)) yield { name, values: () => valuesOf(variable.value) };
    else if (variable === undefined && weight !== undefined && weight.format !== "absent") yield { name, values: () => ops.scope(() => valuesOf(weight.dense())) };
  }
}

/** To be looked at, not kept: `read` would copy what many back-ends have copied already. */
function valuesOf(tensor: ops.Tensor): Float32Array {
  return tensor.dataSync() as Float32Array;
}

/** Spread evenly. */
function samplesOf(values: Float32Array): number[] {
  return Array.from({ length: SAMPLES }, (_, i) => values[Math.floor(((2 * i + 1) * values.length) / (2 * SAMPLES))] ?? 0);
}

/** Whether two values may be one weight in two precisions. */
export function alike(a: number, b: number): boolean {
  return Math.abs(a - b) <= RELATIVE * Math.max(Math.abs(a), Math.abs(b)) + ABSOLUTE;
}

function hashOf(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32LE();
}
