import { DeftError, defineStage, formOf, TASK, withMetrics, type Artifact, type HostBatch, type Stage, type StageContext, type Task } from "@deft-js/core";
import { examples, unpadded } from "./calibration.ts";
import { pruneOptions, type PruneSettings } from "./options.ts";
import { pruneModel } from "./prune.ts";

/**
 * The stage `prune`: removes weights of the model's linear layers; metrics `prune` have each layer's sparsity. WANDA runs training examples of the
 * calibration's task, or of the task of the stages before.
 * @throws DeftError `options.invalid`; when run, `prune.target`, `prune.calibration` and what the task throws
 */
export function prune(settings: PruneSettings): Stage {
  const options = pruneOptions(settings);
  return defineStage({
    id: "prune",
    options,
    async run(artifact, context) {
      const { wanda } = options;
      const rows = wanda === undefined ? undefined : await rowsOf(artifact, context, wanda.calibration);
      const report = await pruneModel(artifact.model, options, rows && examples(artifact.model, rows));
      return withMetrics(artifact, "prune", rows === undefined ? report : { ...report, samples: rows.length });
    },
  });
}

/** Training examples in an order of the run's seed. */
async function rowsOf(artifact: Artifact, context: StageContext, { task, samples }: { task?: Readonly<Record<string, unknown>> | undefined; samples: number }): Promise<readonly HostBatch[]> {
  const made = task === undefined ? artifact.task : madeTask(task, context);
  if (made === undefined) throw new DeftError("prune.calibration", "prune: wanda must have a task for its calibration, got none here and none from the stages before. Name one: calibration: { task: { … } }.");
  const rng = context.rng.fork("prune");
  const { train } = await made.open({ tokenizer: artifact.tokenizer, rng: rng.fork("task") });
  const rows: HostBatch[] = [];
  const { model } = artifact;
  const labelsOf = model.head === "language-model" && formOf(model) === "pairs" ? "target" : "positions";
  for (const row of unpadded(train.batches({ batchSize: 1, order: rng.fork("order"), bucket: false, form: formOf(model) }), labelsOf)) {
    rows.push(row);
    if (rows.length === samples) break;
  }
  return rows;
}

function madeTask(choice: Readonly<Record<string, unknown>>, { kernel }: StageContext): Task {
  const [[id, options] = [""], ...others] = Object.entries(choice);
  if (others.length > 0 || id === "") throw new DeftError("options.invalid", `prune: calibration.task must name exactly one task, got ${Object.keys(choice).join(", ") || "none"}. Name one.`);
  return kernel.create(TASK, id, options ?? {});
}
