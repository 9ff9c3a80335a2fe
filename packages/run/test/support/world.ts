import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin, RunEvent } from "@deft-js/core";
import wasm from "@deft-js/plugin-backend-wasm";
import density from "@deft-js/plugin-density-loss";
import bert from "@deft-js/plugin-model-bert";
import adapter from "@deft-js/plugin-peft-adapter";
import lora from "@deft-js/plugin-peft-lora";
import text from "@deft-js/plugin-task-text";
import { createKernel, runRecipe, type RunRequest, type RunResult } from "@deft-js/run";
import { stringify } from "yaml";
import { sentences, tempFolder, writeCsv, writeTinyModel } from "./tiny.ts";

export const PLUGINS: readonly Plugin[] = [bert, lora, adapter, density, text, wasm];

/** A folder with a tiny model, data and a recipe. */
export interface World {
  readonly folder: string;
  readonly recipe: string;
  content: Record<string, unknown>;
  write(): void;
  run(request?: Partial<RunRequest>): Promise<RunResult>;
  path(...parts: string[]): string;
  json(...parts: string[]): Record<string, never>;
  events(run: string): RunEvent[];
}

export async function makeWorld(options: { rows?: number } = {}): Promise<World> {
  const folder = tempFolder();
  const kernel = await createKernel({ plugins: PLUGINS, discover: false });
  await writeTinyModel(join(folder, "tiny"), kernel);
  mkdirSync(join(folder, "data"));
  writeCsv(join(folder, "data", "train.csv"), sentences(options.rows ?? 24));
  writeCsv(join(folder, "data", "dev.csv"), sentences(8, 2));
  const path = (...parts: string[]): string => join(folder, ...parts);
  const world: World = {
    folder,
    recipe: path("recipe.yaml"),
    content: {
      model: "tiny",
      backend: "cpu",
      stages: [
        {
          finetune: {
            task: { text: { train: "data/train.csv", evaluation: "./data/dev.csv", text: "text", label: "label", maxLength: 16 } },
            peft: { lora: { rank: 2, alpha: 4 } },
            losses: [{ density: { weight: 1 } }],
            optimizer: { adamw: { learningRate: 0.01 } },
            epochs: 2,
            batchSize: 8,
          },
        },
        { evaluate: {} },
      ],
      output: "out",
    },
    write: () => writeFileSync(world.recipe, stringify(world.content)),
    run: (request = {}) => {
      world.write();
      return runRecipe({ file: world.recipe, plugins: PLUGINS, discover: false, ...request });
    },
    path,
    json: (...parts) => JSON.parse(readFileSync(path(...parts), "utf8")) as Record<string, never>,
    events: (run) => readFileSync(path(run, "events.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as RunEvent),
  };
  return world;
}
