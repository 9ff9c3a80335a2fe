import { existsSync, mkdirSync, openSync, readdirSync, readSync, fstatSync, rmSync, writeSync, closeSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeftError, type Reporter } from "@deft-js/core";

/** Names of a run folder's files. */
export const RECIPE_FILE = "recipe.resolved.yaml";
export const EVENTS_FILE = "events.jsonl";
export const METRICS_FILE = "metrics.json";
export const ADAPTER_FOLDER = "adapter";

/** `runs/20261124-013147-NAME` in the working directory, by local time; `-2`, `-3`, … when it is taken. */
export function defaultFolder(name: string, now: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const base = resolve("runs", `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}-${name}`);
  for (let n = 1; ; n++) {
    const folder = n === 1 ? base : `${base}-${n}`;
    if (!existsSync(folder)) return folder;
  }
}

/** Refuses a folder that holds something already; on resume, one that holds no run. Throws `recipe.output`, `recipe.resume`. */
export function checkFolder(folder: string, resume: boolean): void {
  const held = existsSync(folder) ? readdirSync(folder) : [];
  if (!resume && held.length > 0)
    throw new DeftError("recipe.output", `output: the run's folder must be new or empty, got ${folder} with ${held.length} entries. Name another, or continue it with --resume.`);
  if (resume && !held.includes(RECIPE_FILE))
    throw new DeftError("recipe.resume", `resume: the folder must hold a run (${RECIPE_FILE}), got none in ${folder}. Name the folder of an earlier run with --output.`);
}

/** Makes the folder; what an earlier end of the same run left (metrics, adapter, model) goes. */
export function openFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of [METRICS_FILE, ADAPTER_FOLDER, "model"]) rmSync(join(folder, name), { recursive: true, force: true });
}

/** Appends every event as one line of JSON, at once: after a crash the file ends with the last event, whole or cut. */
export function eventsFile(folder: string): Reporter {
  return {
    id: "events-file",
    connect: ({ events }) => {
      const file = openSync(join(folder, EVENTS_FILE), "a+");
      if (endsCut(file)) writeSync(file, "\n"); // the run was killed and is resumed: its cut event must not spoil the next
      const subscription = events.subscribe((event) => writeSync(file, `${JSON.stringify(event)}\n`));
      return () => {
        subscription.unsubscribe();
        closeSync(file);
      };
    },
  };
}

function endsCut(file: number): boolean {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== "\n";
}
