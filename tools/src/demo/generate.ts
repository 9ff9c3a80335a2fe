/**
 * A small language of reviews: sentences about places and things whose opinion depends on words, negation and contrast. It feeds
 * the embedded checkpoint's pretraining (text alone) and the demo's task (text with its opinion). All of it from a seed.
 */
import { ops } from "@deft-js/core";

const { Rng } = ops;
type Rng = ops.Rng;

const TOPICS = {
  restaurant: { parts: ["soup", "bread", "waiter", "kitchen", "table", "dessert", "wine", "fish", "menu", "terrace"], good: ["fresh", "tasty", "warm", "generous", "crisp", "friendly"], bad: ["stale", "bland", "cold", "tiny", "greasy", "rude"] },
  hotel: { parts: ["room", "bed", "lobby", "view", "pool", "clerk", "shower", "breakfast", "garden", "lift"], good: ["quiet", "clean", "bright", "spacious", "cosy", "helpful"], bad: ["noisy", "dirty", "dark", "cramped", "damp", "careless"] },
  film: { parts: ["plot", "script", "actor", "score", "ending", "scene", "dialogue", "camera", "hero", "sequel"], good: ["clever", "moving", "funny", "gripping", "subtle", "charming"], bad: ["dull", "clumsy", "silly", "tedious", "shallow", "pointless"] },
  phone: { parts: ["screen", "battery", "button", "case", "speaker", "lens", "charger", "keyboard", "update", "signal"], good: ["sharp", "sturdy", "fast", "reliable", "light", "handy"], bad: ["dim", "flimsy", "slow", "faulty", "heavy", "awkward"] },
} as const;
type Topic = keyof typeof TOPICS;

const LIKED = ["good", "great", "lovely", "excellent", "pleasant", "wonderful"];
const DISLIKED = ["bad", "poor", "awful", "terrible", "unpleasant", "horrible"];
const DEGREES = ["", "", "very", "really", "quite", "rather", "truly", "so"];
const VERBS = ["was", "was", "seemed", "felt", "looked", "remained"];
const OPENINGS = ["", "", "", "honestly", "in the end", "last week", "to my surprise", "as always", "this time", "on our second visit"];
const OTHERS = ["my friend", "the guide", "my sister", "the owner", "a neighbour", "the critic"];
const REPORTS = ["said that", "thought that", "wrote that", "insisted that"];
const NEUTRAL = ["we arrived on monday", "it was raining that day", "we paid by card", "they open at nine", "i went there with my sister", "it stands near the station", "we stayed for two days", "a friend had told us about it"];

/** How paragraphs end: the verdict that goes with the opinion before it. */
const VERDICTS = [
  ["i would avoid it", "we will never return", "a waste of money", "in short a disappointment", "stay away"],
  ["i would recommend it", "we will come again", "worth every penny", "in short a delight", "do not miss it"],
] as const;

/** One sentence with its opinion: 1 = favourable, 0 = unfavourable. */
export interface Review {
  readonly text: string;
  readonly label: 0 | 1;
}

const pick = <T>(rng: Rng, from: readonly T[]): T => from[rng.integer(from.length)] as T;
const words = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join(" ");

/** How involved the sentences are: the share of negated clauses, and of sentences with one opinion only. */
export interface Style {
  readonly negated: number;
  readonly single: number;
}

/** The corpus has all there is; the task is one that a few hundred steps can learn. */
const CORPUS: Style = { negated: 0.35, single: 0.6 };
const TASK: Style = { negated: 0.1, single: 0.9 };
/** One opinion a sentence, said as it is meant. */
export const PLAIN: Style = { negated: 0, single: 1 };
/** As in the corpus: who knows plain sentences alone misses every negated clause. */
export const INVOLVED: Style = CORPUS;

/** A clause of the wished opinion: a word of that opinion, or the opposite word under a negation. */
function clause(rng: Rng, topic: Topic, favourable: boolean, style: Style): string {
  const negated = rng.uniform() < style.negated;
  const { parts, good, bad } = TOPICS[topic];
  const adjectives = favourable !== negated ? [...good, ...LIKED] : [...bad, ...DISLIKED];
  const subject = words("the", pick(rng, parts));
  if (negated && rng.uniform() < 0.3) return words("nobody could call", subject, pick(rng, adjectives));
  return words(subject, pick(rng, VERBS), negated ? pick(rng, ["not", "never", "hardly"]) : "", pick(rng, DEGREES), pick(rng, adjectives));
}

/** One review: plain, with a contrast whose last clause counts, or with somebody else's opposite opinion in front. */
export function review(rng: Rng, style: Style): Review {
  const label = rng.uniform() < 0.5 ? 1 : 0;
  const topic = pick(rng, Object.keys(TOPICS) as Topic[]);
  const own = clause(rng, topic, label === 1, style);
  const kind = rng.uniform();
  const opening = pick(rng, OPENINGS);
  if (kind < style.single * (2 / 3)) return { text: `${words(opening, own)} .`, label };
  if (kind < style.single) return { text: `${words(opening, pick(rng, NEUTRAL), "and", own)} .`, label };
  const other = clause(rng, topic, rng.uniform() < 0.25 ? label === 1 : label === 0, style);
  if (kind < (1 + style.single) / 2) return { text: `${words(opening, other, ", but", own)} .`, label };
  return { text: `${words(pick(rng, OTHERS), pick(rng, REPORTS), other, ", yet for me", own)} .`, label };
}

/** `n` reviews from a seed; no two are the same, and none is in `except`. */
export function reviews(n: number, seed: number, except: ReadonlySet<string> = new Set(), style: Style = TASK): Review[] {
  const rng = new Rng(seed);
  const found = new Map<string, Review>();
  while (found.size < n) {
    const made = review(rng, style);
    if (!except.has(made.text)) found.set(made.text, made);
  }
  return [...found.values()];
}

/** Text for pretraining: a review and, as people do, a verdict after it. */
export function corpus(paragraphs: number, seed: number): string[] {
  const rng = new Rng(seed);
  return Array.from({ length: paragraphs }, () => {
    const { text, label } = review(rng, CORPUS);
    return `${text} ${pick(rng, VERDICTS[label])} .`;
  });
}

/** Every word that the language has. */
export function vocabulary(): string[] {
  const phrases = [...Object.values(TOPICS).flatMap(({ parts, good, bad }) => [...parts, ...good, ...bad]), ...LIKED, ...DISLIKED, ...DEGREES, ...VERBS, ...OPENINGS, ...OTHERS, ...REPORTS, ...NEUTRAL, ...VERDICTS.flat(), "the", "and", ", but", ", yet for me", "not never hardly", "nobody could call", "."];
  return [...new Set(phrases.flatMap((phrase) => phrase.split(" ")).filter(Boolean))].sort();
}
