import { DeftError, Rng } from "@deft-js/tensor";
import { defer, from, type Observable } from "rxjs";
import type { HostBatch } from "../contracts/batch.ts";
import type { Model } from "../contracts/model.ts";
import { searchBeams } from "./beam-search.ts";
import { draw, forbid, likeliest, logProbability } from "./choose.ts";
import { generationOptions, type GenerationOptions, type GenerationSettings } from "./options.ts";
import { GenerationSession } from "./session.ts";

/** What was generated for a batch. */
export interface Generated {
  /** The new tokens of each row, up to and with the end token; without the prompt or the start token, and without padding. */
  readonly ids: readonly (readonly number[])[];
  /** Of beam search, or where `scores` asks for them: Σ log p / length^lengthPenalty of each row. */
  readonly scores?: readonly number[] | undefined;
}

/** One step's tokens; rows that have ended are left out. */
export interface GeneratedTokens {
  /** From 0. */
  readonly step: number;
  readonly tokens: readonly { readonly row: number; readonly id: number; /** Where `scores` asks for it. */ readonly logProbability?: number | undefined }[];
}

/**
 * Generates from a batch (an encoder's input, or prompts padded at the left): greedy, sampling, or beam search as in transformers
 * 4.26. Rows that end leave the batch. What is attached to the model takes part; dropout is off; labels are not read.
 * @throws DeftError `generation.options`, `generation.model`, `generation.batch`, `generation.nonfinite`, `model.head`
 */
export async function generate(model: Model, batch: HostBatch, settings: GenerationSettings = {}): Promise<Generated> {
  const options = generationOptions(settings, model);
  const session = new GenerationSession(model, batch);
  try {
    if (options.beams > 1) return await searchBeams(session, batch.size, options);
    const ids = Array.from({ length: batch.size }, (): number[] => []);
    const sums = Array.from({ length: batch.size }, () => 0);
    for await (const { tokens } of walk(session, batch.size, options))
      for (const { row, id, logProbability: log = 0 } of tokens) {
        ids[row]?.push(id);
        sums[row] = (sums[row] as number) + log;
      }
    return options.scores ? { ids, scores: sums.map((sum, row) => sum / (ids[row]?.length ?? 1) ** options.lengthPenalty) } : { ids };
  } finally {
    session.dispose();
  }
}

/**
 * The same as a stream of steps, begun anew by every subscription; unsubscribing ends the generation. Beam search has no stream:
 * its tokens are not known before its end.
 * @throws DeftError as `generate`, and `generation.options` for more than one beam; on the stream `generation.nonfinite`
 */
export function generateTokens(model: Model, batch: HostBatch, settings: GenerationSettings = {}): Observable<GeneratedTokens> {
  const options = generationOptions(settings, model);
  if (options.beams > 1) throw new DeftError("generation.options", `generate: a stream must have one beam, got ${options.beams}. Use \`generate\`, or leave out beams.`);
  return defer(() => from(stream(model, batch, options)));
}

async function* stream(model: Model, batch: HostBatch, options: GenerationOptions): AsyncGenerator<GeneratedTokens> {
  const session = new GenerationSession(model, batch);
  try {
    yield* walk(session, batch.size, options);
  } finally {
    session.dispose();
  }
}

/** One token a step for every row that has not ended. */
async function* walk(session: GenerationSession, size: number, options: GenerationOptions): AsyncGenerator<GeneratedTokens> {
  const { maxNewTokens, minNewTokens, sample, seed, eos, scores } = options;
  const streams = Array.from({ length: sample ? size : 0 }, (_, row) => new Rng(seed).fork(`row ${row}`));
  let rows = Array.from({ length: size }, (_, row) => row);
  let logits = await session.begin();
  for (let step = 0; ; step++) {
    const tokens = rows.map((row, i) => {
      const values = logits.row(i);
      if (step < minNewTokens) forbid(values, eos);
      const stream = streams[row];
      const id = stream === undefined ? likeliest(values) : draw(values, options, stream);
      return { row, id, logProbability: scores ? logProbability(values, id) : undefined };
    });
    yield { step, tokens };
    const open = tokens.flatMap(({ id }, i) => (eos.includes(id) ? [] : [i]));
    if (open.length === 0 || step + 1 === maxNewTokens) return;
    logits = await session.next(open, open.map((i) => tokens[i]?.id as number));
    rows = open.map((i) => rows[i] as number);
  }
}
