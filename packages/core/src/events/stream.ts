import { config, Subject, type Observable } from "rxjs";
import type { RunCommand, RunEvent } from "./events.ts";

/** A run's two streams: events out, commands in. */
export class RunStream {
  readonly #events = new Subject<RunEvent>();
  readonly #commands = new Subject<RunCommand>();
  readonly #before = config.onUnhandledError;

  constructor() {
    // rxjs throws a subscriber's error on a timer, which would end the process; here it becomes a warning.
    config.onUnhandledError = (error: unknown): void => this.warn(`a subscriber threw: ${error instanceof Error ? error.message : String(error)}`);
  }

  get events(): Observable<RunEvent> {
    return this.#events.asObservable();
  }

  get commands(): Observable<RunCommand> {
    return this.#commands.asObservable();
  }

  emit(event: RunEvent): void {
    this.#events.next(deepFreeze(event));
  }

  warn(message: string): void {
    this.emit({ type: "warning", time: Date.now(), message });
  }

  command(command: RunCommand): void {
    this.#commands.next(Object.freeze({ ...command }));
  }

  /** Ends both streams and takes the error handler back. */
  complete(): void {
    this.#events.complete();
    this.#commands.complete();
    config.onUnhandledError = this.#before;
  }
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
