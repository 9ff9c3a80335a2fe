import type { Artifact, Kernel, Plugin, Reporter } from "@deft-js/core";
import { defer, from, type Observable } from "rxjs";
import { startBackend } from "../backend/start.ts";
import { initModel, loadModel, type InitModelOptions, type LoadModelOptions } from "../model/load.ts";
import { createKernel } from "../kernel/load.ts";
import { RunContext, withContext } from "../run/context.ts";
import { eventsFile, openFolder } from "../run/folder.ts";

/** What a pipeline in code begins with. */
export interface PipelineOptions {
  /** A kernel of one's own; one with `plugins` and the installed ones when left out. */
  readonly kernel?: Kernel | undefined;
  readonly plugins?: readonly (Plugin | string)[] | undefined;
  readonly discover?: boolean | undefined;
  /** `auto` when left out. */
  readonly backend?: string | undefined;
  /** 42 when left out. */
  readonly seed?: number | undefined;
  /** Where events and checkpoints go; nowhere when left out. */
  readonly folder?: string | undefined;
  readonly resume?: boolean | undefined;
  readonly reporters?: readonly Reporter[] | undefined;
}

/**
 * The beginning of a pipeline: `load("./bert-mini", { head, labels }).pipe(finetune({…}), evaluate(), exportTo("./out"))`. Every subscription is a run of
 * its own; its stages share streams, seed and folder through the artifact. Where it ends nobody knows: its streams stay open, and its reporters connected.
 */
export function load(path: string, options: PipelineOptions & Omit<LoadModelOptions, "kernel"> = {}): Observable<Artifact> {
  return pipeline(options, (kernel) => loadModel(path, { ...options, kernel }));
}

/** The same with a new model, initialised at random. */
export function init(options: PipelineOptions & Omit<InitModelOptions, "kernel">): Observable<Artifact> {
  return pipeline(options, (kernel) => initModel({ ...options, kernel }));
}

function pipeline(options: PipelineOptions, make: (kernel: Kernel) => Promise<Artifact>): Observable<Artifact> {
  const { plugins, discover, backend, seed = 42, folder, resume, reporters = [] } = options;
  const begin = async (): Promise<Artifact> => {
    const kernel = options.kernel ?? (await createKernel({ plugins, discover }));
    await startBackend({ kernel, id: backend });
    const artifact = await make(kernel);
    if (folder !== undefined) openFolder(folder);
    const context = new RunContext({ kernel, seed, folder, resume });
    for (const reporter of [...(folder === undefined ? [] : [eventsFile(folder)]), ...reporters]) reporter.connect({ events: context.events, command: (command) => context.command(command), folder });
    return withContext(artifact, context);
  };
  return defer(() => from(begin()));
}
