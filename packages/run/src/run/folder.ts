import { existsSync, mkdirSync, openSync, readdirSync, readSync, fstatSync, rmSync, writeFileSync, writeSync, closeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DeftError, type Reporter } from "@deft-js/core";
import { errorCode, isRefusal } from "@deft-js/checkpoint";

/** Names of a run folder's files. */
export const RECIPE_FILE = "recipe.resolved.yaml";
export const EVENTS_FILE = "events.jsonl";
export const METRICS_FILE = "metrics.json";
export const ADAPTER_FOLDER = "adapter";
export const MODEL_FOLDER = "model";

/** Refuses a folder that holds something already; on resume, one that holds no run. Throws `recipe.output`, `recipe.resume`. */
export function checkFolder(folder: string | undefined, resume: boolean): void {
  const held = folder !== undefined && existsSync(folder) ? attempt(folder, () => readdirSync(folder)) : [];
  if (!resume && held.length > 0)
    throw new DeftError("recipe.output", `output: the run's folder must be new or empty, got ${folder} with ${held.length} entries. Name another, or continue it with --resume.`);
  if (resume && !held.includes(RECIPE_FILE))
    throw new DeftError("recipe.resume", `resume: the folder must hold a run (${RECIPE_FILE}), got ${folder === undefined ? "no folder" : `none in ${folder}`}. Name the folder of an earlier run with --output.`);
}

/** A new run that is to have a folder. */
export interface FolderClaim {
  /** A folder that is new or empty; one in `runs`, by time and name, when left out. */
  readonly output?: string | undefined;
  readonly name: string;
  /** The resolved recipe: it marks the folder as a run's. */
  readonly recipe: string;
}

/**
 * Makes a new run's folder and writes the recipe there. No two runs get the same one, however close to each other they begin: one in `runs` is the run's that
 * could make it, one that was named the run's that could create the recipe in it.
 * @returns the folder
 * @throws DeftError `recipe.output` when another run was first, and when the file system refuses
 */
export function claimFolder({ output, name, recipe }: FolderClaim): string {
  const folder = output ?? makeDefaultFolder(name, new Date());
  attempt(folder, () => {
    if (output !== undefined) mkdirSync(output, { recursive: true });
    mark(folder, recipe);
  });
  return folder;
}

/** Makes the folder; what an earlier end of the same run left (metrics, adapter, model) goes. Throws `recipe.output`. */
export function openFolder(folder: string): void {
  attempt(folder, () => {
    mkdirSync(folder, { recursive: true });
    for (const name of [METRICS_FILE, ADAPTER_FOLDER, MODEL_FOLDER]) rmSync(join(folder, name), { recursive: true, force: true });
  });
}

/** `runs/20261124-013147-NAME` in the working directory, by local time; `-2`, `-3`, … when it is taken. */
function makeDefaultFolder(name: string, now: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const base = resolve("runs", `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}-${name}`);
  return attempt(base, () => {
    mkdirSync(dirname(base), { recursive: true });
    for (let n = 1; ; n++) {
      const folder = n === 1 ? base : `${base}-${n}`;
      if (makesNew(folder)) return folder;
    }
  });
}

/** Makes a folder; false when something of its name is there already. */
function makesNew(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** Creates the recipe's file, which no other run must have done. */
function mark(folder: string, recipe: string): void {
  const file = join(folder, RECIPE_FILE);
  try {
    writeFileSync(file, recipe, { flag: "wx", flush: true });
  } catch (cause) {
    if (errorCode(cause) === "EEXIST") throw new DeftError("recipe.output", `output: the run's folder must be its own, got ${folder}, where another run has begun meanwhile. Name another.`, { cause });
    rmSync(file, { force: true }); // a part of it: the disk is full
    throw cause;
  }
}

/** What the file system refuses becomes `recipe.output`. */
function attempt<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    throw new DeftError("recipe.output", `output: the run's folder must be one that can be made and written, got ${folder}: ${cause.message}. Make room, correct its permissions, or name another with --output.`, { cause });
  }
}

/**
 * Appends every event as one line of JSON, at once: after a crash the file ends with the last event, whole or cut. When the disk is full the
 * first event that is lost throws, which makes a warning; those after it do not, since that warning is one of them. Connecting throws `recipe.output`.
 */
export function eventsFile(folder: string): Reporter {
  return {
    id: "events-file",
    connect: ({ events }) => {
      const file = attempt(folder, () => openSync(join(folder, EVENTS_FILE), "a+"));
      if (endsCut(file)) writeSync(file, "\n"); // the run was killed and is resumed: its cut event must not spoil the next
      let isFull = false;
      const subscription = events.subscribe((event) => {
        try {
          writeSync(file, `${JSON.stringify(event)}\n`);
          isFull = false;
        } catch (error) {
          if (isFull) return;
          isFull = true;
          throw error;
        }
      });
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
