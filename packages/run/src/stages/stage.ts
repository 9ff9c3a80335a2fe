import { DeftError, type Artifact, type Stage, type StageContext } from "@deft-js/core";
import { concatMap, lastValueFrom, of, type OperatorFunction } from "rxjs";
import { contextOf, withContext, type RunContext } from "../run/context.ts";

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
    return announced({ id, context, artifact, run: async (name) => withContext(await body(artifact, context, name), context) });
  });
}

/** Any stage, a plugin's too, in a pipeline that began with `load`. */
export function stage(made: Stage): OperatorFunction<Artifact, Artifact> {
  return concatMap((artifact) => {
    const context = contextOf(artifact);
    return announced({ id: made.id, context, artifact, run: async () => withContext(await throughStage(made, artifact, context), context) });
  });
}

/** What a stage makes of an artifact. @throws DeftError `stage.artifact` when that is none */
export async function throughStage(made: Stage, artifact: Artifact, context: StageContext): Promise<Artifact> {
  const next = (await lastValueFrom(of(artifact).pipe(made.operator(context)), { defaultValue: undefined })) as Partial<Artifact> | undefined;
  const lacking = (["model", "tokenizer", "attachments", "metrics"] as const).find((key) => next?.[key] === undefined);
  if (lacking !== undefined) throw new DeftError("stage.artifact", `stage ${made.id}: must give an artifact, got ${next === undefined ? "nothing" : `one without ${lacking}`}. Return the one that came in, or { ...artifact } with what is new.`);
  return next as Artifact;
}

/** Runs one stage between its two events. */
export function announced(stage: Announced): Promise<Artifact> {
  return stage.context.guard(() => betweenEvents(stage));
}

/** A stage in its run. */
interface Announced {
  readonly id: string;
  readonly context: RunContext;
  readonly artifact: Artifact;
  /** The number of stages, where it is known. */
  readonly of?: number;
  run(name: string): Promise<Artifact>;
}

async function betweenEvents({ id, context, artifact, of, run }: Announced): Promise<Artifact> {
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
