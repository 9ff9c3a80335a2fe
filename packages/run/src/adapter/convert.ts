import { DeftError, type HeadKind, type Kernel } from "@deft-js/core";
import { startBackend } from "../backend/start.ts";
import { loadCheckpoint } from "../inspect/checkpoint.ts";
import { createKernel } from "../kernel/load.ts";
import { loadModel } from "../model/load.ts";
import { mergeAll, type MergeDrift, type MergeInto } from "../model/merge.ts";
import { saveModel } from "../model/save.ts";
import { readAdapters } from "./read.ts";
import type { AdapterLayoutId } from "./record.ts";
import { saveAdapters } from "./save.ts";

/** An adapter folder that is to be written in another layout. */
export interface ConvertRequest {
  /** The adapter folder. */
  readonly input: string;
  /** The folder to be written. */
  readonly output: string;
  readonly layout: AdapterLayoutId;
  /** The base model; the one that the folder names when left out. */
  readonly model?: string | undefined;
  /** The adapter's name in AdapterHub's keys; the folder's own when left out. */
  readonly name?: string | undefined;
  readonly backend?: string | undefined;
  readonly offline?: boolean | undefined;
  /** A kernel of one's own; one with the installed plugins when left out. */
  readonly kernel?: Kernel | undefined;
}

/** A checkpoint that is to be written anew. */
export interface ExportRequest extends Omit<ConvertRequest, "input" | "layout" | "model"> {
  /** A model folder, a hub name, or a run's folder. */
  readonly checkpoint: string;
  readonly adapter?: string | undefined;
  readonly head?: HeadKind | undefined;
  /** The adapter's layout; each method's first when left out. */
  readonly layout?: AdapterLayoutId | undefined;
  /** Writes a whole model folder with the adapter folded in instead of an adapter folder. */
  readonly merge?: boolean | undefined;
  /** With `merge`: what becomes of weights that are not dense; must be said where there are such. */
  readonly base?: MergeInto | undefined;
}

/**
 * Writes an adapter folder in another library's layout, head and labels included. The base model is loaded, since its layers decide the names.
 * @throws DeftError `export.base` when no base model is named, `export.layout` when the method has no such layout, and what loading throws
 */
export async function convertAdapter({ input, output, layout, model, name, backend, offline, kernel: given }: ConvertRequest): Promise<void> {
  const kernel = given ?? (await createKernel({}));
  await startBackend({ kernel, id: backend });
  const adapters = await readAdapters(input, kernel);
  const base = model ?? adapters.map((one) => one.base).find((known) => known !== undefined);
  if (base === undefined) throw new DeftError("export.base", `convert: the base model must be known, got none in ${input}. Name it with --model.`);
  const loaded = await loadModel(base, { kernel, adapter: input, offline });
  try {
    await saveAdapters(output, { ...loaded, source: base }, { layout, name: name ?? adapters[0]?.name, head: adapters.flatMap((one) => [...one.head.keys()]) });
  } finally {
    loaded.model.dispose();
  }
}

/**
 * Writes a checkpoint's adapter in a layout, or with `merge` the whole model with the adapter folded in, as a Hugging Face folder.
 * @returns how far merged matrices moved, where they were encoded again
 * @throws DeftError `export.*` (`export.empty` when there is nothing but the base), and what loading throws
 */
export async function exportCheckpoint({ output, layout, name, merge = false, base, ...request }: ExportRequest): Promise<{ readonly drift?: MergeDrift | undefined }> {
  const { artifact, record, kernel } = await loadCheckpoint(request);
  try {
    if (!merge) {
      await saveAdapters(output, artifact, { layout, name: name ?? record?.name, head: record?.head.tensors });
      return {};
    }
    const { artifact: merged, drift } = mergeAll(artifact, base);
    await saveModel(output, merged, { kernel, base });
    return { drift };
  } finally {
    artifact.model.dispose();
  }
}
