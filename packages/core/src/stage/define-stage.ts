import { concatMap } from "rxjs";
import type { Artifact, Stage, StageContext } from "../contracts/stage.ts";

/** What a stage is made of. */
export interface StageDefinition {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** What it does to an artifact. */
  run(artifact: Artifact, context: StageContext): Promise<Artifact> | Artifact;
}

/** A stage from what it does to an artifact. */
export function defineStage({ id, options, run }: StageDefinition): Stage {
  return { id, options, operator: (context) => concatMap(async (artifact) => run(artifact, context)) };
}

/** The artifact with a stage's metrics: under its id, and from the second of one id on under `id-2`, … */
export function withMetrics(artifact: Artifact, id: string, metrics: unknown): Artifact {
  let key = id;
  for (let n = 2; Object.hasOwn(artifact.metrics, key); n++) key = `${id}-${n}`;
  return { ...artifact, metrics: { ...artifact.metrics, [key]: metrics } };
}
