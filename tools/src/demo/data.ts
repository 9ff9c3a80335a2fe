import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { corpus, reviews, type Review, type Style } from "./generate.ts";
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

/** A task's sizes and style; the demo's own when left out. */
export interface TaskFiles extends Pick<Demo, "folder"> {
  readonly style?: Style | undefined;
  /** Sentences to train on, 4000, and others to be judged by, 1000. */
  readonly train?: number;
  readonly dev?: number;
}

/** Writes a task. */
export async function writeTask({ folder, style, train = 4000, dev = 1000 }: TaskFiles): Promise<void> {
  await mkdir(folder, { recursive: true });
  const judged = reviews(dev, 2, new Set(), style);
  await writeFile(join(folder, "dev.csv"), csv(judged));
  await writeFile(join(folder, "train.csv"), csv(reviews(train, 1, new Set(judged.map(({ text }) => text)), style)));
}

/** Writes what the checkpoint is pretrained on: 40 000 paragraphs and the tokenizer. */
export async function writeCorpus({ model, folder }: Demo): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "corpus.txt"), `${corpus(40_000, 3).join("\n")}\n`);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizerJson(model).json));
}
