import { resolve } from "node:path";
import { withMetrics, type Artifact, type Contribution, type Kernel, type Stage } from "@deft-js/core";
import type { OperatorFunction } from "rxjs";
import { z } from "zod";
import type { AdapterLayoutId } from "../adapter/record.ts";
import { saveAdapters } from "../adapter/save.ts";
import { mergeAll, type MergeInto } from "../model/merge.ts";
import { saveModel } from "../model/save.ts";
import { contextOf } from "../run/context.ts";
import { inPipeline, stageOf } from "./stage.ts";

/** Options of `exportTo`. */
export interface ExportOptions {
  /** HF PEFT's, AdapterHub's or this toolkit's adapter folder, or `model`: merged, as a Hugging Face folder. The method's first when left out. */
  readonly layout?: AdapterLayoutId | "model" | undefined;
  /** The adapter's name in AdapterHub's keys; `default` when left out. */
  readonly name?: string | undefined;
  /**
   * Layout `model`: what becomes of weights that are held in another format than dense. `held`: they keep it, and what is merged into them is encoded again; `dense`: float32.
   * Must be said where something is merged into such weights; `held` when left out elsewhere.
   */
  readonly base?: MergeInto | undefined;
}

const schema = z.strictObject({
  path: z.string().min(1).describe("the folder to be written, relative to the recipe"),
  layout: z.enum(["peft", "adapterhub", "deft", "model"]).optional().describe("an adapter folder's layout, or model: merged, as a Hugging Face folder"),
  name: z.string().regex(/^[\w-]{1,64}$/).optional().describe("the adapter's name in AdapterHub's keys"),
  base: z.enum(["dense", "held"]).optional().describe("layout model: quantized or masked weights become float32, or keep their format (what is merged into them is encoded again)"),
});

/** The stage `export`: writes the adapter or the merged model. */
export function exportContribution(kernel: Kernel): Contribution<Stage> {
  return {
    id: "export",
    summary: "Writes the adapter in another library's layout, or the merged model",
    options: schema,
    create: (options: z.output<typeof schema>) => stageOf("export", options, (artifact) => exportArtifact(artifact, options.path, { ...options, kernel })),
  };
}

/** The stage `export` in a pipeline that began with `load`. */
export function exportTo(path: string, options: ExportOptions = {}): OperatorFunction<Artifact, Artifact> {
  return inPipeline("export", (artifact) => exportArtifact(artifact, path, { ...options, kernel: contextOf(artifact).kernel }));
}

/** Writes an artifact. Layout `model` merges what is attached: it is part of the base weights afterwards. Throws `export.*`, `checkpoint.*`. */
export async function exportArtifact(artifact: Artifact, path: string, { layout, name, base, kernel }: ExportOptions & { readonly kernel?: Kernel | undefined } = {}): Promise<Artifact> {
  if (layout === "model") {
    const { artifact: merged, drift } = mergeAll(artifact, base);
    await saveModel(path, merged, { kernel, base });
    return withMetrics({ ...merged, source: resolve(path) }, "export", { path, layout, ...(drift === undefined ? {} : { drift }) });
  }
  await saveAdapters(path, artifact, { layout, name });
  return withMetrics(artifact, "export", { path, layout: layout ?? "default" });
}
