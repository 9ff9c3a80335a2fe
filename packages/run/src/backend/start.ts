import { BACKEND, DeftError, type Backend, type Kernel } from "@deft-js/core";

/** Whether a back-end starts on this machine. */
export interface BackendReport {
  readonly id: string;
  readonly rank: number;
  readonly starts: boolean;
  /** What it says of itself, when it started. */
  readonly status?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Why it did not. */
  readonly why?: string | undefined;
}

/** Which back-end is wanted. */
export interface StartBackendOptions {
  /** Brings the back-ends. */
  readonly kernel: Kernel;
  /** `auto` when left out. */
  readonly id?: string | undefined;
  /** The back-end's own options; they go with an id, not with `auto`. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Told, for `auto`, of each back-end of a higher rank that did not start. */
  readonly onSkipped?: ((report: BackendReport) => void) | undefined;
}

/**
 * Starts a back-end: the one that is named, or for `auto` the one with the highest rank that starts (tfjs's `cpu` is last).
 * @returns the id of the one that runs
 * @throws DeftError `backend.unknown` when no plugin brings it, `backend.start` when it does not start, `options.invalid`
 */
export async function startBackend({ kernel, id = "auto", options = {}, onSkipped }: StartBackendOptions): Promise<string> {
  if (id !== "auto") return startNamed(kernel, id, options);
  const reports: BackendReport[] = [];
  for (const backend of backendsOf(kernel)) {
    const report = await tried(backend);
    if (report.starts) return backend.id;
    reports.push(report);
    onSkipped?.(report);
  }
  throw new DeftError("backend.start", `back-end: one must start, got ${reports.map((one) => `${one.id}: ${one.why}`).join("; ") || "none installed"}. Run \`deft doctor\`.`);
}

/** Tries every back-end, the highest rank first: what `deft doctor` shows. Any of them may be the active one afterwards. */
export async function backendReport(kernel: Kernel): Promise<readonly BackendReport[]> {
  const reports: BackendReport[] = [];
  for (const backend of backendsOf(kernel)) reports.push(await tried(backend));
  return reports;
}

function backendsOf(kernel: Kernel): readonly Backend[] {
  return kernel.contributions(BACKEND).map(({ id }) => kernel.create(BACKEND, id)).sort((a, b) => b.rank - a.rank);
}

async function startNamed(kernel: Kernel, id: string, options: Readonly<Record<string, unknown>>): Promise<string> {
  const known = kernel.contributions(BACKEND).map((contribution) => contribution.id);
  if (!known.includes(id))
    throw new DeftError("backend.unknown", `back-end: must be auto or one that a plugin brings, got ${JSON.stringify(id)}. Known: ${known.join(", ")}; for another, install its plugin (@deft-js/plugin-backend-…).`);
  const backend = kernel.create(BACKEND, id, options);
  try {
    await backend.start(options);
    return id;
  } catch (cause) {
    throw new DeftError("backend.start", `back-end ${id}: must start, got: ${(cause as Error).message}`, { cause });
  }
}

async function tried(backend: Backend): Promise<BackendReport> {
  const { id, rank } = backend;
  try {
    await backend.start({});
    return { id, rank, starts: true, status: backend.status() };
  } catch (error) {
    return { id, rank, starts: false, why: error instanceof Error ? error.message : String(error) };
  }
}
