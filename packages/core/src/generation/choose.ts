import { DeftError, type Rng } from "@deft-js/tensor";
import type { GenerationOptions } from "./options.ts";

/**
 * The likeliest token; the first of equals.
 * @throws DeftError `generation.nonfinite` when the logits hold NaN or ∞, or nothing that may be taken
 */
export function likeliest(logits: Float32Array): number {
  let best = -1;
  let most = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id] as number;
    if (value <= most) continue; // which NaN is not either
    if (!(value < Infinity)) throw nonfinite(`${Number.isNaN(value) ? "NaN" : "∞"} at token ${id}`);
    [best, most] = [id, value];
  }
  if (best < 0) throw nonfinite("−∞ for all that may be taken");
  return best;
}

/** Makes tokens impossible. */
export function forbid(logits: Float32Array, ids: readonly number[]): void {
  for (const id of ids) if (id < logits.length) logits[id] = -Infinity;
}

/**
 * Draws a token from softmax(logits/temperature), cut to the k likeliest (equals of the k-th stay) and then to the likeliest
 * whose predecessors hold less than topP of what is left (Holtzman et al., 2020, arXiv:1904.09751).
 */
export function draw(logits: Float32Array, { temperature, topK, topP }: Pick<GenerationOptions, "temperature" | "topK" | "topP">, rng: Rng): number {
  const top = logits[likeliest(logits)] as number;
  const weight = (id: number): number => Math.exp(((logits[id] as number) - top) / temperature);
  const kept = nucleus(candidates(logits, topK, topP !== undefined), weight, topP);
  let rest = rng.uniform() * kept.reduce((sum, id) => sum + weight(id), 0);
  for (const id of kept) {
    rest -= weight(id);
    if (rest < 0) return id;
  }
  return kept.findLast((id) => weight(id) > 0) as number;
}

/** Tokens that are possible and among the k likeliest, likeliest first where `ordered`. */
function candidates(logits: Float32Array, topK: number | undefined, ordered: boolean): number[] {
  const limit = topK === undefined || topK >= logits.length ? -Infinity : (Float32Array.from(logits).sort().at(-topK) as number);
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if ((logits[id] as number) >= limit && logits[id] !== -Infinity) ids.push(id);
  return ordered ? ids.sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b) : ids;
}

function nucleus(ids: number[], weight: (id: number) => number, topP: number | undefined): number[] {
  if (topP === undefined) return ids;
  const share = topP * ids.reduce((sum, id) => sum + weight(id), 0);
  let before = 0;
  const end = ids.findIndex((id, i) => {
    const over = i > 0 && before >= share;
    before += weight(id);
    return over;
  });
  return end < 0 ? ids : ids.slice(0, end);
}

/** log softmax(logits) of one token. */
export function logProbability(logits: Float32Array, id: number): number {
  const top = logits[likeliest(logits)] as number;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - top);
  return (logits[id] as number) - top - Math.log(sum);
}

/** The error of logits that leave no token to take. */
export function nonfinite(what: string): DeftError {
  return new DeftError("generation.nonfinite", `generate: logits must be finite, or −∞ for what may not be taken, got ${what}. Check the model's weights and the end tokens.`);
}
