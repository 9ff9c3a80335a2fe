import { batchTensors, DeftError, formOf, generate, METER, type HostBatch, type Meter, type Model } from "@deft-js/core";
import { makeSplit } from "@deft-js/data";
import { scope } from "@deft-js/tensor";
import { packageHint } from "../kernel/packages.ts";
import { hasRecipe, loadCheckpoint, type CheckpointRequest } from "./checkpoint.ts";
import { promptOf, type PromptRequest } from "./prompt.ts";
import { encodedGroups, maxLengthFor, type TextSource } from "./texts.ts";

/** Which model is measured, on what. */
export interface DensityRequest extends Omit<CheckpointRequest, "head" | "bare">, Omit<TextSource, "texts">, PromptRequest {
  readonly data: string;
  /** Tokens of a text at most; the adapter's task's, or 128, when left out. */
  readonly maxLength?: number | undefined;
  /** 32 when left out. */
  readonly batchSize?: number | undefined;
}

/** Shares of active neurons, as fractions: of real positions alone, and with padded ones. */
export interface DensityShares {
  readonly exact: number;
  readonly exactIncludingPadding: number;
  readonly thresholded: readonly { readonly threshold: number; readonly share: number; readonly shareIncludingPadding: number }[];
}

/** What the meter `density` reports. */
export interface DensityReport {
  readonly examples: number;
  readonly layers: readonly (DensityShares & { readonly stack: "encoder" | "decoder"; readonly layer: number; readonly path: string })[];
  readonly encoder: DensityShares | null;
  readonly decoder: DensityShares | null;
  readonly padding: { readonly positions: number; readonly padded: number };
}

/**
 * Measures which share of the MLPs' neurons is active, layer by layer, of any checkpoint on any texts, with the installed meter `density`. The model runs
 * without a head; an encoder-decoder's decoder runs over what it generates from each text.
 * @throws DeftError what loading, the back-end and the data throw; `task.empty` without a text; `plugin.unknown` without the meter
 */
export async function measureDensity(request: DensityRequest): Promise<DensityReport> {
  const { artifact, kernel, record } = await loadCheckpoint({ ...request, bare: request.adapter === undefined && !hasRecipe(request.checkpoint) });
  const { model, tokenizer } = artifact;
  try {
    const meter = kernel.contributions(METER).some(({ id }) => id === "density") ? kernel.create(METER, "density") : noMeter();
    const maxLength = maxLengthFor(request.maxLength, record?.task, model.config);
    const { batchSize = 32 } = request;
    const prompt = promptOf({ kernel, artifact, record }, request);
    const end = meter.begin?.(model);
    let seen = 0;
    for await (const { examples } of encodedGroups(request, { tokenizer, maxLength, size: batchSize, prompt })) {
      seen += examples.length;
      const split = makeSplit({ name: "texts", examples, padId: tokenizer.padId });
      for (const plain of split.batches({ batchSize })) {
        const host = await withTarget(model, plain);
        scope(() => meter.add(model.forward(batchTensors(host), meter.taps)));
      }
    }
    if (seen === 0) throw new DeftError("task.empty", `density: ${request.data} must hold texts, got none. Check the file.`);
    end?.();
    return meter.report() as unknown as DensityReport;
  } finally {
    model.dispose();
  }
}

/** Tokens that an encoder-decoder generates from a text at most. */
const MAX_TARGET = 32;

/** The batch with what an encoder-decoder makes of it as labels, so that its decoder has something to run over; other models' as it is. */
async function withTarget(model: Model, batch: HostBatch): Promise<HostBatch> {
  if (model.head !== "language-model" || formOf(model) === "causal") return batch;
  const { ids } = await generate(model, batch, { maxNewTokens: MAX_TARGET });
  const labelSeq = Math.max(...ids.map(({ length }) => length));
  const labels = new Int32Array(batch.size * labelSeq).fill(-100);
  for (const [row, generated] of ids.entries()) labels.set(generated, row * labelSeq);
  return { ...batch, labels, labelSeq };
}

function noMeter(): Meter {
  throw new DeftError("plugin.unknown", `density: some plugin must bring the meter density, got none. To bring one, ${packageHint("meter", "density")}.`);
}
