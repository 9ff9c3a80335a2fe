import { DeftError, type NamedArray, type PeftMethod } from "@deft-js/core";
import { lora } from "./lora.ts";
import type { LoraSettings } from "./options.ts";

/** One adapter of an average: an attachment, or its method and state. */
export interface WeightedLora {
  readonly method: PeftMethod;
  state(): readonly NamedArray[];
  /** w in Σ w·ΔW. */
  readonly weight: number;
}

/** An average, to be attached: `method.attach(model, rng).loadState(state)`. */
export interface AveragedLora {
  readonly method: PeftMethod;
  readonly state: readonly NamedArray[];
}

/**
 * The weighted sum of LoRA adapters over the same layers, ΔW = Σ wᵢ·(αᵢ/rᵢ)·Aᵢ·Bᵢ.
 * `cat` (default) is exact: the factors stand beside each other, rank Σ rᵢ. `linear` keeps one rank, which all must have: A = Σ √(wᵢ·αᵢ/rᵢ)·Aᵢ and B likewise, as
 * HF PEFT's `add_weighted_adapter` combines, which adds products of different adapters' factors; its weights must not be negative.
 * @throws DeftError `lora.average` when there is none, the layers or ranks differ, or a weight does not fit
 */
export function averageLora(adapters: readonly WeightedLora[], { combination = "cat" }: { readonly combination?: "cat" | "linear" } = {}): AveragedLora {
  const parts = adapters.map(({ method, weight, state }) => {
    const { rank, alpha, target } = method.options as { readonly rank: number; readonly alpha: number; readonly target: string };
    return { id: method.id, rank, target, factor: (weight * alpha) / rank, arrays: new Map(state().map((array) => [array.name, array])) };
  });
  const [first] = parts;
  if (first === undefined || parts.some(({ id }) => id !== "lora")) throw refused(`all must be LoRA and there must be one, got ${adapters.map(({ method }) => method.id).join(", ") || "none"}`);
  const names = [...first.arrays.keys()];
  if (parts.some(({ arrays }) => arrays.size !== names.length || names.some((name) => !arrays.has(name)))) throw refused("all must stand at the same layers, got others");
  if (parts.some(({ factor }) => !Number.isFinite(factor))) throw refused(`weights must be numbers, got ${adapters.map(({ weight }) => weight).join(", ")}`);
  if (combination === "linear" && parts.some(({ rank, factor }) => rank !== first.rank || factor < 0)) throw refused("a linear combination needs one rank and weights from 0, got others");
  const rank = combination === "cat" ? parts.reduce((sum, one) => sum + one.rank, 0) : first.rank;
  const held = parts.map(({ arrays, factor }) => ({ factor, array: (name: string) => arrays.get(name) as NamedArray }));
  const state = names.map((name) => (combination === "cat" ? beside(name, held) : summed(name, held)));
  return { method: lora({ rank, alpha: rank, target: first.target } as LoraSettings), state };
}

interface Held {
  readonly factor: number;
  array(name: string): NamedArray;
}

/** A's columns beside each other, [dIn, Σ r], the factor in them; B's rows below each other, [Σ r, dOut]. */
function beside(name: string, parts: readonly Held[]): NamedArray {
  const arrays = parts.map(({ array }) => array(name));
  if (name.endsWith(".lora_B")) return { name, shape: [arrays.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0), arrays[0]?.shape[1] ?? 0], values: Float32Array.from(arrays.flatMap(({ values }) => [...values])) };
  const dIn = arrays[0]?.shape[0] ?? 0;
  const rows = Array.from({ length: dIn }, (_, row) => parts.flatMap(({ factor }, i) => {
    const { shape: [, rank = 0], values } = arrays[i] as NamedArray;
    return [...values.subarray(row * rank, (row + 1) * rank)].map((value) => value * factor);
  }));
  return { name, shape: [dIn, rows[0]?.length ?? 0], values: Float32Array.from(rows.flat()) };
}

/** Σ √factor·values. */
function summed(name: string, parts: readonly Held[]): NamedArray {
  const { shape, values } = (parts[0] as Held).array(name);
  return { name, shape, values: values.map((_, i) => parts.reduce((sum, { factor, array }) => sum + Math.sqrt(factor) * (array(name).values[i] as number), 0)) };
}

function refused(rule: string): DeftError {
  return new DeftError("lora.average", `lora: to be averaged, ${rule}. Choose adapters of one model and one target.`);
}
