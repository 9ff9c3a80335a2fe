import { formOf, generate, ops, type Batch, type HostBatch, type Model } from "@deft-js/core";
import { values, type Arrays } from "./fixture.ts";
import { largestError, relativeToLargest, type Line } from "./report.ts";

/** What a fixture's expected.json says of generation; sequences begin with what was given and are padded. */
export interface ExpectedGeneration {
  readonly generate_greedy?: readonly (readonly number[])[];
  readonly generate_beam2?: readonly (readonly number[])[];
  readonly generate_beam2_scores?: readonly number[];
}

/** Greedy and beam-2 ids exactly, scores and the logits of every greedy step. */
export async function generationLines(model: Model, host: HostBatch, batch: Batch, expected: ExpectedGeneration, tensors: Arrays, outputs: number): Promise<Line[]> {
  const lines: Line[] = [];
  for (const [quantity, beams] of [["generate_greedy", 1], ["generate_beam2", 2]] as const) {
    const theirs = expected[quantity];
    if (theirs === undefined) continue;
    const given = promptLength(model, batch);
    const length = (theirs[0]?.length ?? 0) - given;
    const { ids, scores } = await generate(model, host, { maxNewTokens: length, beams });
    const padId = Number(model.config["pad_token_id"] ?? 0);
    const differ = theirs.reduce((n, row, r) => n + row.slice(given).filter((id, i) => id !== (ids[r]?.[i] ?? padId)).length, 0);
    lines.push({ quantity, error: differ, tolerance: 0, note: "ids that differ" });
    const theirScores = expected[`${quantity}_scores` as "generate_beam2_scores"];
    if (theirScores !== undefined) lines.push({ quantity: `${quantity}_scores`, error: largestError(scores ?? [], theirScores), tolerance: 1e-4 });
  }
  if (expected.generate_greedy !== undefined && tensors.has("greedy_step_logits"))
    lines.push(relativeToLargest("greedy_step_logits", stepLogits(model, batch, expected.generate_greedy), values(tensors, "greedy_step_logits"), outputs));
  return lines;
}

/** Positions of a peer's sequence that were given: the prompt's, padding included, or the start token of an encoder-decoder. */
function promptLength(model: Model, batch: Batch): number {
  return formOf(model) === "causal" ? batch.seq : 1;
}

/** The logits of every step along the peer's ids, [rows, steps, vocabulary]. */
function stepLogits(model: Model, batch: Batch, ids: readonly (readonly number[])[]): Float32Array {
  const decoding = model.decode?.(batch);
  if (decoding === undefined) return new Float32Array();
  const given = promptLength(model, batch);
  const steps = (ids[0]?.length ?? 0) - given;
  const rows = Array.from({ length: steps }, (_, step) =>
    ops.scope(() => ops.read(step === 0 ? decoding.begin() : decoding.step(Int32Array.from(ids, (row) => row[given + step - 1] as number)))),
  );
  decoding.dispose();
  const width = (rows[0]?.length ?? 0) / ids.length;
  return Float32Array.from({ length: ids.length * steps * width }, (_, at) => {
    const [row, step, token] = [Math.floor(at / (steps * width)), Math.floor(at / width) % steps, at % width];
    return rows[step]?.[row * width + token] as number;
  });
}
