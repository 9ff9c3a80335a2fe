import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeftError, REPORTER, type Plugin, type ReportedRun } from "@deft-js/core";
import { EMPTY } from "rxjs";
import { createKernel } from "../kernel/load.ts";
import { packageHint } from "../kernel/packages.ts";
import { parseRecipe } from "../recipe/parse.ts";
import { EVENTS_FILE, RECIPE_FILE } from "./folder.ts";
import { readEvents } from "./recorded-events.ts";

/** Finished runs that are to be reported. */
export interface ReportRequest {
  /** Run folders; a folder that is named twice counts once. */
  readonly folders: readonly string[];
  /** `report.html` in the folder of a single run, in the working directory otherwise, when left out. */
  readonly file?: string | undefined;
  readonly plugins?: readonly (Plugin | string)[] | undefined;
  /** Where plugins are looked for; the working directory when left out. */
  readonly from?: string | undefined;
  readonly discover?: boolean | undefined;
}

/** What the command reports with. */
const REPORTER_ID = "html";

/**
 * Gives finished runs, one after the other, to the reporter `html`, which puts them side by side in one file.
 * @returns the file
 * @throws DeftError `report.run` when a folder holds no run, `plugin.unknown` when no plugin brings the reporter, and what it throws (`report.file`)
 */
export async function reportRuns({ folders, file, ...from }: ReportRequest): Promise<string> {
  const paths = [...new Set(folders.map((folder) => resolve(folder)))];
  const [first] = paths;
  if (first === undefined) throw new DeftError("report.run", "report: must name at least one run's folder, got none. Name one.");
  const runs: ReportedRun[] = [];
  for (const path of paths) runs.push(await recordedRun(path));
  const kernel = await createKernel(from);
  if (!kernel.contributions(REPORTER).some(({ id }) => id === REPORTER_ID))
    throw new DeftError("plugin.unknown", `report: the reporter ${REPORTER_ID} must be installed, got none of that name. To have it, ${packageHint(REPORTER.name, REPORTER_ID)}.`);
  const out = resolve(file ?? join(paths.length === 1 ? first : ".", "report.html"));
  const reporter = kernel.create(REPORTER, REPORTER_ID, { file: out });
  for (const disconnect of runs.map((run) => reporter.connect(run))) disconnect();
  return out;
}

/** A run that has ended: all that happened is history. */
async function recordedRun(folder: string): Promise<ReportedRun> {
  if (!existsSync(join(folder, EVENTS_FILE))) throw new DeftError("report.run", `report: a run's folder must hold ${EVENTS_FILE}, got none in ${folder}. Name the folder that a run left.`);
  return { events: EMPTY, command: () => undefined, folder, recipe: recordedRecipe(join(folder, RECIPE_FILE)), history: await readEvents(folder) };
}

function recordedRecipe(file: string): ReportedRun["recipe"] {
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  return { text, content: parseRecipe(text, file) };
}
