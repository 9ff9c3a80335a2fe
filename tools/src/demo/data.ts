import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { corpus, reviews, type Review } from "./generate.ts";
import { tokenizerJson } from "./tokenizer.ts";

/** Where the demo's data and runs lie. */
export const FOLDER = join(import.meta.dirname, "../../../runs/demo");
/** Where its recipes and the embedded checkpoint lie. */
export const EXAMPLE = join(import.meta.dirname, "../../../examples/demo");

const csv = (rows: readonly Review[]): string => ["text,opinion", ...rows.map(({ text, label }) => `"${text}",${label}`), ""].join("\n");

/** Writes the task: 4000 sentences to train on, 1000 others to be judged by. */
export async function writeTask(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const dev = reviews(1000, 2);
  await writeFile(join(FOLDER, "dev.csv"), csv(dev));
  await writeFile(join(FOLDER, "train.csv"), csv(reviews(4000, 1, new Set(dev.map(({ text }) => text)))));
}

/** Writes what the checkpoint is pretrained on: 40 000 paragraphs and the tokenizer. */
export async function writeCorpus(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, "corpus.txt"), `${corpus(40_000, 3).join("\n")}\n`);
  await writeFile(join(FOLDER, "tokenizer.json"), JSON.stringify(tokenizerJson().json));
}
