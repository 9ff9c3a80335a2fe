import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { corpus, reviews, type Review } from "./generate.ts";
import { tokenizerJson, type DemoModel } from "./tokenizer.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** A demo: where its recipes and the embedded checkpoint lie, and where its data and runs go. */
export interface Demo {
  readonly model: DemoModel;
  readonly example: string;
  readonly folder: string;
}

const NAMES: Readonly<Record<DemoModel, string>> = { bert: "demo", t5: "demo-t5" };

/** The demo of a model. Throws `demo.model` for an unknown one. */
export function demoOf(model: string): Demo {
  if (!Object.hasOwn(NAMES, model)) throw new DeftError("demo.model", `demo: --model must be ${Object.keys(NAMES).join(" or ")}, got ${model}. Correct it.`);
  const name = NAMES[model as DemoModel];
  return { model: model as DemoModel, example: join(ROOT, "examples", name), folder: join(ROOT, "runs", name) };
}

const csv = (rows: readonly Review[]): string => ["text,opinion", ...rows.map(({ text, label }) => `"${text}",${label}`), ""].join("\n");

/** Writes the task: 4000 sentences to train on, 1000 others to be judged by. */
export async function writeTask({ folder }: Demo): Promise<void> {
  await mkdir(folder, { recursive: true });
  const dev = reviews(1000, 2);
  await writeFile(join(folder, "dev.csv"), csv(dev));
  await writeFile(join(folder, "train.csv"), csv(reviews(4000, 1, new Set(dev.map(({ text }) => text)))));
}

/** Writes what the checkpoint is pretrained on: 40 000 paragraphs and the tokenizer. */
export async function writeCorpus({ model, folder }: Demo): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "corpus.txt"), `${corpus(40_000, 3).join("\n")}\n`);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizerJson(model).json));
}
