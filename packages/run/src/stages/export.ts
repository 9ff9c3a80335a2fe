import { DeftError, type Artifact, type Contribution, type Stage, withMetrics } from "@deft-js/core";
import type { OperatorFunction } from "rxjs";
import { z } from "zod";
import { saveAdapters, type AdapterLayoutId } from "../adapter/save.ts";
import { mergeAll, saveModel } from "../model/save.ts";
import { inPipeline, stageOf } from "./stage.ts";

/** Options of `exportTo`. */
export interface ExportOptions {
  /** HF PEFT's, AdapterHub's or this toolkit's adapter folder, or `model`: merged, as a Hugging Face folder. The method's first when left out. */
  readonly layout?: AdapterLayoutId | "model" | undefined;
  /** The adapter's name in AdapterHub's keys; `default` when left out. */
  readonly name?: string | undefined;
}

const schema = z.strictObject({
  path: z.string().min(1).describe("the folder to be written, relative to the recipe"),
  layout: z.enum(["peft", "adapterhub", "deft", "model"]).optional().describe("an adapter folder's layout, or model: merged, as a Hugging Face folder"),
  name: z.string().regex(/^[\w-]{1,64}$/).optional().describe("the adapter's name in AdapterHub's keys"),
});

/** The stage `export`: writes the adapter or the merged model. */
export function exportContribution(): Contribution<Stage> {
  return {
    id: "export",
    summary: "Writes the adapter in another library's layout, or the merged model",
    options: schema,
    create: (options: z.output<typeof schema>) => stageOf("export", options, (artifact) => exportArtifact(artifact, options.path, options)),
  };
}

/** The stage `export` in a pipeline that began with `load`. */
export function exportTo(path: string, options: ExportOptions = {}): OperatorFunction<Artifact, Artifact> {
  return inPipeline("export", (artifact) => exportArtifact(artifact, path, options));
}

/** Writes an artifact. Layout `model` merges what is attached: it is part of the base weights afterwards. Throws `export.*`, `checkpoint.*`. */
export async function exportArtifact(artifact: Artifact, path: string, { layout, name }: ExportOptions = {}): Promise<Artifact> {
  if (layout === "model") {
    const merged = mergeAll(artifact);
    await saveModel(path, merged);
    return withMetrics(merged, "export", { path, layout });
  }
  if (artifact.attachments.length === 0 && artifact.model.headParameters().length === 0)
    throw new DeftError("export.empty", "export: an adapter or a trained head must be there, got neither. Use layout model, or fine-tune first.");
  await saveAdapters(path, artifact, { layout, name });
  return withMetrics(artifact, "export", { path, layout: layout ?? "default" });
}
