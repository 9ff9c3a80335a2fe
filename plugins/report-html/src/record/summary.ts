import type { StepCompleted } from "@deft-js/core";
import type { RunRecord } from "./record.ts";
import { recordOf, type Density, type Stack } from "./reports.ts";
import { densitiesOf, energiesOf, evaluationsOf, finalGates, finalOf, finalResults, type Evaluation } from "./timeline.ts";

/** What a run came to, in the figures by which runs are compared. */
export interface Summary {
  readonly run: RunRecord;
  /** DEFT when a density term had weight at some step, ADA-DEFT when blocks had gates, PEFT otherwise. */
  readonly kind: "PEFT" | "DEFT" | "ADA-DEFT";
  /** Ids of the attached methods, as the recipe names them. */
  readonly methods: readonly string[];
  /** Terms beside the task's loss, with their largest weight: a schedule may begin or end at 0. */
  readonly terms: readonly { readonly name: string; readonly weight: number }[];
  readonly trainable: number | undefined;
  readonly total: number | undefined;
  readonly results: readonly Evaluation[];
  readonly density: Density | undefined;
  /** The split that `density` was measured on, where the run was evaluated on several. */
  readonly densitySplit: string | undefined;
  /** Estimated energy of a zero-skipping machine beside a dense one. */
  readonly energy: number | undefined;
  readonly blocks: { readonly skipped: number; readonly of: number } | undefined;
}

/** Summarises a run. */
export function summaryOf(run: RunRecord): Summary {
  const trained = run.stages.findLast(({ training }) => training !== undefined);
  const terms = termsOf(trained?.steps ?? []);
  const gates = finalGates(run);
  const measured = finalOf(run, densitiesOf(run));
  const isDense = run.stages.some(({ steps }) => termsOf(steps).some(({ name, weight }) => /density/.test(name) && weight > 0));
  return {
    run,
    kind: gates !== undefined ? "ADA-DEFT" : isDense ? "DEFT" : "PEFT",
    methods: methodsOf(run),
    terms,
    trainable: trained?.training?.trainableParameters,
    total: trained?.training?.totalParameters,
    results: finalResults(run),
    density: measured?.density,
    densitySplit: new Set(evaluationsOf(run).map(({ split }) => split)).size > 1 ? measured?.split : undefined,
    energy: finalOf(run, energiesOf(run))?.energy.total.picojoules.ratio ?? undefined,
    blocks: gates === undefined ? undefined : { skipped: gates.filter(({ skipped }) => skipped).length, of: gates.length },
  };
}

/** The terms beside the task's loss, as the last step has them, with their largest weight over the steps. */
function termsOf(steps: readonly StepCompleted[]): Summary["terms"] {
  const names = Object.keys(steps.at(-1)?.terms ?? {}).filter((name) => name !== "task");
  return names.map((name) => ({ name, weight: steps.reduce((largest, { weights: { [name]: weight = largest } }) => (weight < largest ? largest : weight), NaN) }));
}

/** Mean share of active neurons of a stack's layers, real positions alone. */
export function stackDensity(density: Density | undefined, stack: Stack): number | undefined {
  return density?.[stack]?.exact;
}

/** The methods that the recipe's stages attach. */
function methodsOf({ recipe }: RunRecord): readonly string[] {
  const stages = recipe?.content["stages"];
  return (Array.isArray(stages) ? stages : []).flatMap((stage) =>
    Object.values(recordOf(stage)).flatMap((options) => [recordOf(options)["peft"]].flat().flatMap((choice) => chosenIds(choice))),
  );
}

/** Keys that were not chosen may be there as undefined. */
function chosenIds(choice: unknown): readonly string[] {
  return Object.entries(recordOf(choice)).flatMap(([id, options]) => (options === undefined ? [] : [id]));
}
