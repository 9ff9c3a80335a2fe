import { existsSync } from "node:fs";
import { join } from "node:path";
import { currentFolder, openModelFolder } from "@deft-js/checkpoint";
import type { Kernel } from "@deft-js/core";
import { readAdapters, type ReadAdapter } from "../adapter/read.ts";
import type { AdapterLayoutId } from "../adapter/record.ts";
import { createKernel } from "../kernel/load.ts";
import { ADAPTER_FOLDER, MODEL_FOLDER } from "../run/folder.ts";
import { hasRecipe } from "./checkpoint.ts";

/** A tensor's name and shape. */
export interface TensorReport {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What an adapter folder is. */
export interface AdapterReport {
  readonly kind: "adapter";
  readonly path: string;
  readonly layout: AdapterLayoutId;
  /** Absent when the head alone was trained. */
  readonly method?: { readonly id: string; readonly options: Readonly<Record<string, unknown>> } | undefined;
  /** The base model that it names. */
  readonly base?: string | undefined;
  /** The adapter's own tensors as the files hold them. */
  readonly tensors: readonly TensorReport[];
  /** Numbers in them. */
  readonly parameters: number;
  readonly head: { readonly kind?: string | undefined; readonly parameters: number };
  /** The classes' names, or how many there are. */
  readonly labels?: readonly string[] | number | undefined;
  /** Keys of its configuration that nobody here knows. */
  readonly unknownKeys: readonly string[];
}

/** What a model folder is. */
export interface ModelReport {
  readonly kind: "model";
  readonly path: string;
  readonly modelType: string;
  readonly architectures: readonly string[];
  readonly tensors: readonly TensorReport[];
  readonly parameters: number;
  readonly labels?: readonly string[] | undefined;
}

/** What lies in a folder. */
export type FolderReport = AdapterReport | ModelReport;

/**
 * Says what a folder is: an adapter's (of this toolkit, HF PEFT or AdapterHub), several adapters', a model's, or a run's, whose adapter or model is meant.
 * Nothing is built and no back-end started.
 * @throws DeftError `checkpoint.*`, `plugin.unknown` for a method that no plugin reads
 */
export async function inspectFolder(path: string, options: { readonly kernel?: Kernel | undefined } = {}): Promise<readonly FolderReport[]> {
  const inRun = [ADAPTER_FOLDER, MODEL_FOLDER].map((name) => join(path, name)).filter((folder) => hasRecipe(path) && existsSync(folder));
  if (inRun.length > 0) return (await Promise.all(inRun.map((folder) => inspectFolder(folder, options)))).flat();
  if (existsSync(join(await currentFolder(path), "config.json"))) return [await modelReport(path)];
  const adapters = await readAdapters(path, options.kernel ?? (await createKernel({})));
  return adapters.map(adapterReport);
}

async function modelReport(path: string): Promise<ModelReport> {
  const { config, source } = await openModelFolder(path);
  const tensors = source.names().map((name) => ({ name, shape: source.shape(name) }));
  const labels = Object.values((config["id2label"] as Record<string, string> | null | undefined) ?? {});
  return {
    kind: "model", path, modelType: String(config["model_type"]), architectures: (config["architectures"] as string[] | null | undefined) ?? [],
    tensors, parameters: sizeOf(tensors), ...(labels.length === 0 ? {} : { labels }),
  };
}

function adapterReport({ path, layout, method, base, tensors: own, head, headKind, labels, labelNames, unknownKeys }: ReadAdapter): AdapterReport {
  const tensors = [...own.values()].map(({ name, shape }) => ({ name, shape }));
  return {
    kind: "adapter", path, layout, base, tensors, parameters: sizeOf(tensors), unknownKeys,
    method: method === undefined ? undefined : { id: method.id, options: method.options },
    head: { kind: headKind, parameters: sizeOf([...head.values()]) },
    labels: labelNames.length > 0 ? labelNames : labels,
  };
}

function sizeOf(tensors: readonly TensorReport[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
}
