import { DeftError, defineStage, evaluate, modeOf, withMetrics, type Artifact, type OpenTask, type Split, type Stage, type StageContext } from "@deft-js/core";
import { Gates } from "./gates.ts";
import { gateSchema, validated, type GateOptions, type GateSettings } from "./options.ts";
import { searchBlocks, weakestFirst, type SearchOptions } from "./search.ts";

/** What was found, for the metrics. */
interface Found {
  readonly paths: readonly string[];
  readonly about: Readonly<Record<string, unknown>>;
}

/**
 * The stage `gate`: turns trained gates into a plan of blocks that are passed over; the plan is saved with the adapter. Metrics `gate` have each block's gate
 * and whether it is skipped, and the trials of a search. Where points are spent, the split that they are measured on is no longer unseen.
 * @throws DeftError `options.invalid`; when run, `gate.gates` when no gates are attached, `gate.task` and `gate.split` when there is nothing to measure on
 */
export function gate(settings: GateSettings): Stage {
  const options = validated("gate", gateSchema, settings);
  return defineStage({
    id: "gate",
    options,
    async run(artifact, context) {
      const held = artifact.attachments.findLast((attachment) => attachment instanceof Gates);
      if (held === undefined) throw new DeftError("gate.gates", "gate: trained gates must be attached, got none. Fine-tune with peft: gates before.");
      const values = new Map(held.readings().map(({ path, gate }) => [path, gate]));
      const { paths, about } = await chosenBlocks(held, options, { artifact, context });
      const next = held.skipping(paths);
      const blocks = next.readings().map((reading) => ({ ...reading, gate: values.get(reading.path) as number }));
      const attachments = artifact.attachments.map((attachment) => (attachment === held ? next : attachment));
      return withMetrics({ ...artifact, attachments }, "gate", { strategy: held.options.strategy, skipped: blocks.filter(({ skipped }) => skipped).length, of: blocks.length, ...about, blocks });
    },
  });
}

async function chosenBlocks(gates: Gates, options: GateOptions, where: { artifact: Artifact; context: StageContext }): Promise<Found> {
  const { budget, threshold = 0 } = options;
  const weakest = weakestFirst(gates);
  if (budget === undefined) return { paths: weakest.filter((one) => Math.abs(one.gate) <= threshold).map(({ path }) => path), about: { threshold } };
  const { points, blocks = weakest.length } = budget;
  if (points === undefined) return { paths: weakest.slice(0, blocks).map(({ path }) => path), about: { budget } };
  const { split, metric, ...measured } = await measurement(options, where);
  const { before } = measured;
  const { trials, after } = await searchBlocks(gates, { ...measured, allowed: points / 100, blocks });
  return { paths: trials.filter(({ skipped }) => skipped).map(({ path }) => path), about: { budget, split, metric, before, after, trials } };
}

/** How the model is measured on the split that points are spent on. */
async function measurement({ split: name, batchSize }: GateOptions, { artifact, context }: { artifact: Artifact; context: StageContext }): Promise<Pick<SearchOptions, "before" | "worse" | "measure"> & { split: string; metric: string }> {
  const { model, task, tokenizer } = artifact;
  if (task === undefined) throw new DeftError("gate.task", "gate: budget.points needs a task to measure on, got none from the stages before. Fine-tune before, or give budget.blocks or threshold.");
  const open = await task.open({ tokenizer, rng: context.rng });
  const split = splitOf(open, name);
  const metrics = async (): Promise<Readonly<Record<string, number>>> => (await evaluate({ model, split, metrics: task.metrics?.bind(task), labels: open.labels, batchSize })).metrics;
  const [[metric, before]] = Object.entries(await metrics()) as [[string, number]];
  const sign = modeOf(metric, undefined) === "max" ? 1 : -1;
  return { split: split.name, metric, before, worse: (now) => sign * (before - now), measure: async () => (await metrics())[metric] as number };
}

function splitOf({ train, evaluation }: OpenTask, name: string | undefined): Split {
  const known = [...evaluation, train];
  const found = name === undefined ? known[0] : known.find((split) => split.name === name);
  if (found === undefined) throw new DeftError("gate.split", `gate: split must be one of ${known.map((split) => split.name).join(", ")}, got ${name}. Correct the name.`);
  return found;
}
