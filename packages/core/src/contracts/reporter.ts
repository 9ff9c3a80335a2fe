import type { Observable } from "rxjs";
import type { RunCommand, RunEvent } from "../events/events.ts";

/** Subscribes to a run's events; what it wants done goes back as commands. */
export interface Reporter {
  readonly id: string;
  /** @returns the undo */
  connect(run: { readonly events: Observable<RunEvent>; command(command: RunCommand): void; readonly folder?: string | undefined }): () => void;
}
