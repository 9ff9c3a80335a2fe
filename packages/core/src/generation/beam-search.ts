import { forbid, likeliest, nonfinite } from "./choose.ts";
import type { Generated } from "./generate.ts";
import { Hypotheses } from "./hypotheses.ts";
import type { GenerationOptions } from "./options.ts";
import type { GenerationSession } from "./session.ts";

/** The start token, which counts in a sequence's length. */
const START = 1;

/** A sequence that is still open. */
interface Beam {
  readonly ids: readonly number[];
  /** Σ log p. */
  readonly score: number;
  /** Its row in the session. */
  readonly row: number;
}

interface Candidate {
  readonly beam: Beam;
  readonly id: number;
  readonly score: number;
}

/** One example's search. */
interface Search {
  beams: readonly Beam[];
  readonly found: Hypotheses;
  done: boolean;
}

/**
 * Beam search as in transformers 4.26 (`beam_search` with `BeamSearchScorer`; with several end tokens as in later ones): of the 2·beams best continuations,
 * (1 + n)·beams for n end tokens, those that end are kept as hypotheses when they are among the first `beams`, the others go on; an example is done when no open beam can beat its worst
 * hypothesis at the present length, or by `earlyStopping` as soon as it has `beams` of them. Lengths are of what is generated and the start token before it; transformers 4.26 counts a decoder's prompt,
 * too, with its padding, so that a row's beams hang on the rows beside it.
 */
export async function searchBeams(session: GenerationSession, size: number, options: GenerationOptions): Promise<Generated> {
  const searches = Array.from({ length: size }, (_, row): Search => ({ beams: [{ ids: [], score: 0, row }], found: new Hypotheses(options), done: false }));
  const enough = Math.max(2, 1 + options.eos.length) * options.beams; // candidates, of which each beam may give one for every end token
  let logits = await session.begin();
  for (let step = 0; ; step++) {
    for (const search of searches) {
      if (search.done) continue;
      const logProbabilities = search.beams.map(({ row }) => logSoftmax(logits.row(row), step < options.minNewTokens ? options.eos : []));
      advance(search, best(search.beams, logProbabilities, enough), START + step, options);
    }
    const open = searches.filter(({ done }) => !done);
    if (open.length === 0 || step + 1 === options.maxNewTokens) break;
    const rows = open.flatMap(({ beams }) => beams);
    logits = await session.next(rows.map(({ row }) => row), rows.map(({ ids }) => ids.at(-1) as number));
    renumber(open);
  }
  for (const { beams, found, done } of searches) if (!done) for (const { ids, score } of beams) found.add(ids, score, START + ids.length);
  const winners = searches.map(({ found }) => found.best());
  return { ids: winners.map(({ ids }) => ids), scores: winners.map(({ score }) => score) };
}

/** Takes one example a token further. `length` is that of its sequences before the token. */
function advance(search: Search, candidates: readonly Candidate[], length: number, { beams, eos }: GenerationOptions): void {
  if (candidates.length === 0) throw nonfinite("−∞ for all that may be taken");
  const next: Beam[] = [];
  for (const [rank, { beam, id, score }] of candidates.entries()) {
    const ids = [...beam.ids, id];
    if (!eos.includes(id)) next.push({ ids, score, row: beam.row });
    else if (rank < beams) search.found.add(ids, score, length);
    if (next.length === beams) break;
  }
  search.beams = next;
  search.done = next.length === 0 || search.found.isDone(candidates[0]?.score ?? -Infinity, length);
}

/** The session now holds the beams of the open examples one after the other. */
function renumber(open: readonly Search[]): void {
  let row = 0;
  for (const search of open) search.beams = search.beams.map((beam) => ({ ...beam, row: row++ }));
}

/** log softmax with some tokens made impossible afterwards; checks for NaN. */
function logSoftmax(logits: Float32Array, forbidden: readonly number[]): Float32Array {
  const top = logits[likeliest(logits)] as number;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - top);
  const shift = top + Math.log(sum);
  for (let id = 0; id < logits.length; id++) logits[id] = (logits[id] as number) - shift;
  forbid(logits, forbidden);
  return logits;
}

/** The `count` best continuations over all beams, best first; of equals the earlier beam and token. */
function best(beams: readonly Beam[], logProbabilities: readonly Float32Array[], count: number): Candidate[] {
  const chosen: Candidate[] = [];
  for (const [b, beam] of beams.entries()) {
    const row = logProbabilities[b] as Float32Array;
    for (let id = 0; id < row.length; id++) {
      const score = beam.score + (row[id] as number);
      if (chosen.length === count && !(score > (chosen.at(-1)?.score ?? -Infinity))) continue;
      if (score === -Infinity) continue;
      const at = chosen.findIndex((other) => score > other.score);
      chosen.splice(at < 0 ? chosen.length : at, 0, { beam, id, score });
      if (chosen.length > count) chosen.pop();
    }
  }
  return chosen;
}
