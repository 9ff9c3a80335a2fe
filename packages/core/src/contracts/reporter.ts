import type { Observable } from "rxjs";
import type { RunCommand, RunEvent } from "../events/events.ts";

/** A run as a reporter sees it. */
export interface ReportedRun {
  readonly events: Observable<RunEvent>;
  command(command: RunCommand): void;
  readonly folder?: string | undefined;
  /** The recipe as it runs, as text and parsed; absent where a run is made in code. */
  readonly recipe?: { readonly text: string; readonly content: Readonly<Record<string, unknown>> } | undefined;
  /** What happened before `events` begins: of a run that is resumed, or of one that has ended, whose `events` are empty. */
  readonly history?: readonly RunEvent[] | undefined;
}

/** Subscribes to a run's events; what it wants done goes back as commands. May be connected to several runs, one after the other. */
export interface Reporter {
  readonly id: string;
  /** @returns the undo, called once when the run is over, whatever its end; an error that it throws becomes a warning of the run */
  connect(run: ReportedRun): () => void;
}
