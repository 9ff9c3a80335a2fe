import { existsSync } from "node:fs";
import { join } from "node:path";
import { DeftError, WEIGHT_FORMAT, type Artifact, type HeadKind, type Kernel } from "@deft-js/core";
import { parse } from "yaml";
import { readFile } from "node:fs/promises";
import { readAdapters, readRecords } from "../adapter/read.ts";
import type { AdapterRecord } from "../adapter/record.ts";
import { startBackend } from "../backend/start.ts";
import { openModel } from "../model/load.ts";
import { createKernel } from "../kernel/load.ts";
import { ADAPTER_FOLDER, MODEL_FOLDER, RECIPE_FILE } from "../run/folder.ts";

/** Which model is looked at: a model folder, a hub name, or the folder of a run, whose model and adapter are then meant. */
export interface CheckpointRequest {
  readonly checkpoint: string;
  /** An adapter folder of this toolkit, HF PEFT or AdapterHub. */
  readonly adapter?: string | undefined;
  /** `ignore`: the blocks that the adapter's plan skips are read and run. `follow` when left out. */
  readonly plan?: "follow" | "ignore" | undefined;
  readonly head?: HeadKind | undefined;
  /** Without a head, unless the model is one that generates. */
  readonly bare?: boolean | undefined;
  readonly backend?: string | undefined;
  readonly offline?: boolean | undefined;
  /** The id of a weight format, with its default options, `dense` (float32, decoded where need be) or `held` (as the folder holds them); as the adapter was trained or the folder holds them when left out. */
  readonly weights?: string | undefined;
  /** A kernel of one's own; one with the installed plugins when left out. */
  readonly kernel?: Kernel | undefined;
}

/** A model, loaded, on a back-end that runs. */
export interface LoadedCheckpoint {
  readonly artifact: Artifact;
  readonly kernel: Kernel;
  /** The id of the back-end that runs. */
  readonly backend: string;
  /** deft.json of the adapter, where there is one. */
  readonly record?: AdapterRecord | undefined;
}

/** Loads what a command looks at. Throws as `openModel` and `startBackend` do; `checkpoint.missing` for a run that has left neither adapter nor model. */
export async function loadCheckpoint(request: CheckpointRequest): Promise<LoadedCheckpoint> {
  const { path, adapter } = await placesOf(request);
  const kernel = await kernelFor(request);
  const { weights: id } = request;
  const weights = id === undefined || id === "dense" || id === "held" ? id : kernel.create(WEIGHT_FORMAT, id);
  const backend = await startBackend({ kernel, id: request.backend });
  const [record] = adapter === undefined ? [] : await readRecords(adapter);
  const opened = await openModel(path, { kernel, adapter, plan: request.plan, offline: request.offline, weights });
  const artifact = await opened.build({ head: request.bare === true && opened.declaredHead !== "language-model" ? "none" : request.head });
  return { artifact, kernel, backend, record };
}

/** The kernel with the plugins that the checkpoint's recipe names and the installed ones. */
export async function kernelFor(request: CheckpointRequest): Promise<Kernel> {
  return request.kernel ?? (await createKernel({ plugins: (await placesOf(request)).plugins }));
}

/** The task that a checkpoint's adapter was trained on, as a recipe says it; undefined where its folder does not tell. */
export async function trainedTask(request: CheckpointRequest): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { adapter } = await placesOf(request);
  return adapter === undefined ? undefined : (await readRecords(adapter)).map((record) => record.task).find((task) => task !== undefined);
}

/** Whether the checkpoint's adapter has a plan of blocks that are skipped. */
export async function hasPlan(request: CheckpointRequest): Promise<boolean> {
  const { adapter } = await placesOf(request);
  return adapter !== undefined && (await readAdapters(adapter, await kernelFor(request))).some(({ method }) => method?.whole?.() !== undefined);
}

/** Whether a folder is a run's. */
export function hasRecipe(folder: string): boolean {
  return existsSync(join(folder, RECIPE_FILE));
}

async function placesOf({ checkpoint, adapter }: CheckpointRequest): Promise<{ path: string; adapter?: string | undefined; plugins?: readonly string[] }> {
  if (!hasRecipe(checkpoint)) return { path: checkpoint, adapter };
  const { model, plugins } = parse(await readFile(join(checkpoint, RECIPE_FILE), "utf8"), { maxAliasCount: 0 }) as { model?: unknown; plugins?: string[] };
  const named = plugins === undefined ? {} : { plugins };
  const saved = join(checkpoint, ADAPTER_FOLDER);
  const own = adapter ?? (existsSync(saved) ? saved : undefined);
  const pretrained = join(checkpoint, MODEL_FOLDER);
  if (existsSync(pretrained)) return { path: pretrained, adapter: own, ...named };
  const path = (await baseOf(own)) ?? (typeof model === "string" ? model : (model as { path?: string } | undefined)?.path);
  if (path === undefined || own === undefined) throw new DeftError("checkpoint.missing", `${checkpoint}: a run must have an adapter or a model, got neither. Let it finish: \`deft run ${checkpoint} --resume\`.`);
  return { path, adapter: own, ...named };
}

/** The base that an adapter names, where it is there: it is another than the recipe's after a merge. */
async function baseOf(adapter: string | undefined): Promise<string | undefined> {
  const [record] = adapter === undefined ? [] : await readRecords(adapter);
  return record?.base !== undefined && existsSync(record.base) ? record.base : undefined;
}
