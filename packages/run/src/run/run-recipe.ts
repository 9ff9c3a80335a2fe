import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterTimers, CORE_VERSION, DeftError, type Artifact, type Kernel, type ReportedRun, type Reporter, type RunEvent } from "@deft-js/core";
import { formatJson, writeFileAtomically } from "@deft-js/checkpoint";
import { saveAdapters } from "../adapter/save.ts";
import { startBackend } from "../backend/start.ts";
import { backendOf, openRecipe, type Recipe, type RecipeRequest } from "../recipe/open.ts";
import { announced, throughStage } from "../stages/stage.ts";
import { finite } from "./checkpoints.ts";
import { RunContext } from "./context.ts";
import { holdFolder } from "./hold.ts";
import { ADAPTER_FOLDER, checkFolder, claimFolder, eventsFile, METRICS_FILE, RECIPE_FILE } from "./folder.ts";
import { prepareArtifact } from "./prepare.ts";
import { readEvents } from "./recorded-events.ts";
import { sameRun } from "./same-run.ts";

/** A run of a recipe. */
export interface RunRequest extends RecipeRequest {
  /** Continue the run in `output` (or in `file`, when that is a run's folder) from its last checkpoint. */
  readonly resume?: boolean | undefined;
  /** Subscribers beside those that the recipe names. */
  readonly reporters?: readonly Reporter[] | undefined;
  /** Aborting stops the run after the step that it is in, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
}

/** What a run came to. */
export interface RunResult {
  readonly folder: string;
  /** By stage, as in metrics.json. */
  readonly metrics: Readonly<Record<string, unknown>>;
}

/**
 * Runs a recipe. Everything is checked first (recipe, plugins, back-end, data, weights): what is wrong by then leaves no folder. The run's folder
 * gets recipe.resolved.yaml and events.jsonl at once, checkpoints as they come, metrics.json and the adapter when all stages are done: of a run that goes on they are those of its earlier end until then.
 * @throws DeftError `recipe.*`, `plugin.*`, `backend.*`, `reporter.connect` for a reporter that cannot be connected, `run.interrupted` after an abort, and what the stages throw
 */
export async function runRecipe(request: RunRequest): Promise<RunResult> {
  const { resume = false, signal, reporters = [] } = request;
  const recipe = await openRecipe(resume ? resumed(request) : request);
  checkFolder(recipe.content.output, resume);
  const moved = resume ? sameRun(await readFile(join(recipe.content.output as string, RECIPE_FILE), "utf8"), recipe.text) : [];
  const { id, options } = backendOf(recipe.content);
  const skipped: string[] = [];
  const backend = await startBackend({ kernel: recipe.kernel, id, options, onSkipped: (report) => skipped.push(`back-end ${report.id} does not start: ${report.why}`) });
  const artifact = await prepareArtifact(recipe, (message) => skipped.push(message));
  try {
    checkAborted(signal, "Run it again.");
    const { folder, release } = await folderOf(recipe, resume);
    const context = new RunContext({ kernel: recipe.kernel, seed: recipe.content.seed, folder, resume });
    const warnings = [...recipe.warnings, ...moved, ...skipped];
    try {
      return await new RecipeRun({ recipe, context, folder, backend, warnings, reporters: [...reporters, ...recipe.reporters], signal }).run(artifact);
    } finally {
      await release();
    }
  } finally {
    artifact.model.dispose();
  }
}

/** The same run again: its own resolved recipe when the file is its folder. */
function resumed(request: RunRequest): RunRequest {
  const { file, output } = request;
  if (file !== undefined && existsSync(join(file, RECIPE_FILE))) return { ...request, file: join(file, RECIPE_FILE), output: output ?? file };
  return request;
}

/** The run's folder with its recipe, held: a new one, or the one that goes on. */
async function folderOf({ content: { output }, name, text }: Recipe, resume: boolean): Promise<{ readonly folder: string; readonly release: () => Promise<void> }> {
  if (!resume || output === undefined) {
    const folder = claimFolder({ output, name, recipe: text });
    return { folder, release: await holdFolder(folder) };
  }
  const release = await holdFolder(output);
  await writeText(join(output, RECIPE_FILE), text);
  return { folder: output, release };
}

interface RecipeRunOptions {
  readonly recipe: Recipe;
  readonly context: RunContext;
  readonly folder: string;
  readonly backend: string;
  readonly warnings: readonly string[];
  readonly reporters: readonly Reporter[];
  readonly signal: AbortSignal | undefined;
}

class RecipeRun {
  readonly #options: RecipeRunOptions;

  constructor(options: RecipeRunOptions) {
    this.#options = options;
  }

  run(artifact: Artifact): Promise<RunResult> {
    return this.#options.context.guard(() => this.#connected(artifact));
  }

  async #connected(artifact: Artifact): Promise<RunResult> {
    const { recipe, context, folder, signal, reporters } = this.#options;
    const command = context.command.bind(context);
    const history = context.resume ? await readEvents(folder) : [];
    const run = { events: context.events, command, folder, recipe: { text: recipe.text, content: recipe.content }, history };
    const connected: { readonly id: string; readonly disconnect: () => void }[] = [];
    const stop = (): void => context.command({ type: "stop", reason: "interrupted" });
    signal?.addEventListener("abort", stop);
    try {
      for (const reporter of [eventsFile(folder), ...reporters]) connected.push({ id: reporter.id, disconnect: connect(reporter, run) });
      return await this.#stages(artifact);
    } catch (error) {
      const code = error instanceof DeftError ? error.code : "internal";
      this.#emit({ type: "run.failed", time: Date.now(), code, message: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      await afterTimers(); // what a subscriber threw at the last event is a warning of this run
      for (const { id, disconnect } of connected.reverse()) this.#disconnect(id, disconnect); // the events file last: it takes the others' warnings
      context.complete();
    }
  }

  async #stages(first: Artifact): Promise<RunResult> {
    const { recipe, context, folder, backend, warnings, signal } = this.#options;
    const started = Date.now();
    this.#emit({ type: "run.started", time: started, seed: recipe.content.seed, backend, folder, versions: versionsOf(recipe.kernel) });
    for (const message of warnings) this.#emit({ type: "warning", time: Date.now(), message });
    let artifact = first;
    for (const stage of recipe.stages) {
      const from = artifact;
      artifact = await announced({ id: stage.id, context, artifact, of: recipe.stages.length, run: () => throughStage(stage, from, context) });
      checkAborted(signal, `Continue with \`deft run ${resolve(folder)} --resume\`.`);
    }
    const trained = artifact.metrics["finetune"] !== undefined && (artifact.attachments.length > 0 || artifact.model.headParameters().length > 0);
    if (trained) await saveAdapters(join(folder, ADAPTER_FOLDER), artifact);
    const { metrics } = artifact;
    const about = { name: recipe.name, seed: recipe.content.seed, backend, version: CORE_VERSION, seconds: (Date.now() - started) / 1000 };
    await writeText(join(folder, METRICS_FILE), formatJson(finite({ run: about, stages: metrics }), METRICS_FILE));
    this.#emit({ type: "run.completed", time: Date.now(), metrics });
    return { folder, metrics };
  }

  #disconnect(id: string, disconnect: () => void): void {
    try {
      disconnect();
    } catch (error) {
      this.#emit({ type: "warning", time: Date.now(), message: `reporter ${id}: ${error instanceof Error ? error.message : String(error)}` });
    }
  }

  #emit(event: RunEvent): void {
    this.#options.context.emit(event);
  }
}

function connect(reporter: Reporter, run: ReportedRun): () => void {
  try {
    return reporter.connect(run);
  } catch (cause) {
    if (cause instanceof DeftError) throw cause;
    throw new DeftError("reporter.connect", `reporter ${reporter.id}: must connect to the run, got ${cause instanceof Error ? cause.message : String(cause)}. Correct its options, or leave it out.`, { cause });
  }
}

function versionsOf({ plugins }: Kernel): Readonly<Record<string, string>> {
  return { node: process.versions.node, "@deft-js/core": CORE_VERSION, ...Object.fromEntries(plugins.map(({ name, version }) => [name, version])) };
}

function checkAborted(signal: AbortSignal | undefined, remedy: string): void {
  if (signal?.aborted === true) throw new DeftError("run.interrupted", `run: stopped by an interrupt, got it before the last stage was done. ${remedy}`);
}

async function writeText(path: string, text: string): Promise<void> {
  await writeFileAtomically(path, async (handle) => handle.writeFile(text));
}
