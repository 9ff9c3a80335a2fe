import type { Artifact, Stage, StageContext } from "@deft-js/core";
import { concatMap, lastValueFrom, of, type OperatorFunction } from "rxjs";
import { contextOf, type RunContext } from "../run/context.ts";

/** What a stage does to an artifact. */
export type StageBody = (artifact: Artifact, context: StageContext, name: string) => Promise<Artifact>;

/** A stage from its body. */
export function stageOf(id: string, options: Readonly<Record<string, unknown>>, body: StageBody): Stage {
  return { id, options, operator: (context) => concatMap((artifact) => body(artifact, context, stageName(id, context))) };
}

/** The stage as an operator in a pipeline that began with `load`: its run comes with the artifact. */
export function inPipeline(id: string, body: StageBody): OperatorFunction<Artifact, Artifact> {
  return concatMap((artifact) => {
    const context = contextOf(artifact);
    return announced({ id, context, artifact, run: (name) => body(artifact, context, name) });
  });
}

/** Any stage, a plugin's too, in a pipeline that began with `load`. */
export function stage(made: Stage): OperatorFunction<Artifact, Artifact> {
  return concatMap((artifact) => {
    const context = contextOf(artifact);
    return announced({ id: made.id, context, artifact, run: () => lastValueFrom(of(artifact).pipe(made.operator(context))) });
  });
}

/** Runs one stage between its two events. */
export async function announced({ id, context, artifact, of, run }: { id: string; context: RunContext; artifact: Artifact; of?: number; run: (name: string) => Promise<Artifact> }): Promise<Artifact> {
  const index = context.nextStage();
  context.emit({ type: "stage.started", time: Date.now(), stage: id, index, of: of ?? index + 1 });
  const next = await run(`${index}-${id}`);
  const fresh = Object.entries(next.metrics).filter(([key, value]) => artifact.metrics[key] !== value);
  context.emit({ type: "stage.completed", time: Date.now(), stage: id, index, metrics: Object.fromEntries(fresh) });
  return next;
}

/** The name of the stage at work: its number and id, unique within the run. */
function stageName(id: string, context: StageContext): string {
  const begun = (context as Partial<RunContext>).stages ?? 1;
  return `${Math.max(0, begun - 1)}-${id}`;
}
