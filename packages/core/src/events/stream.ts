import { config, Subject, type Observable } from "rxjs";
import type { RunCommand, RunEvent } from "./events.ts";

/** How many different errors of subscribers a run is told of. */
const MOST_TOLD = 20;

/** A run's two streams: events out, commands in. */
export class RunStream {
  readonly #events = new Subject<RunEvent>();
  readonly #commands = new Subject<RunCommand>();
  readonly #told = new Set<string>();

  get events(): Observable<RunEvent> {
    return this.#events.asObservable();
  }

  get commands(): Observable<RunCommand> {
    return this.#commands.asObservable();
  }

  emit(event: RunEvent): void {
    wasActive(this);
    this.#events.next(deepFreeze(event));
  }

  warn(message: string): void {
    this.emit({ type: "warning", time: Date.now(), message });
  }

  command(command: RunCommand): void {
    wasActive(this);
    this.#commands.next(Object.freeze({ ...command }));
  }

  /** Does a run's work: what a subscriber throws meanwhile becomes a warning, where rxjs would end the process. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    takeErrors();
    try {
      return await work();
    } finally {
      await untilQuiet();
      giveErrorsBack();
    }
  }

  /** A subscriber's error becomes a warning: once for each message, since whoever throws at every event throws at the warning, too. */
  tell(error: unknown): void {
    const message = `a subscriber threw: ${error instanceof Error ? error.message : String(error)}`;
    if (this.#told.has(message) || this.#told.size >= MOST_TOLD) return;
    this.#told.add(message);
    this.warn(message);
  }

  /** Ends both streams. */
  complete(): void {
    this.#events.complete();
    this.#commands.complete();
  }
}

/** Waits until the timers that are due have run: rxjs throws the errors of subscribers on one. */
export function afterTimers(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve));
}

/** Waits for what subscribers throw at the last events, and at the warnings about that. */
async function untilQuiet(): Promise<void> {
  let seen: number;
  do {
    seen = thrown;
    await afterTimers();
  } while (thrown !== seen);
}

/** Errors of subscribers so far. */
let thrown = 0;
/** Runs at work. rxjs has one handler for the errors of all subscribers. */
let working = 0;
/** Whose events were the last. */
let latest: RunStream | undefined;
let before: typeof config.onUnhandledError = null;

function wasActive(stream: RunStream): void {
  latest = stream;
}

function tellLatest(error: unknown): void {
  thrown++;
  latest?.tell(error);
}

function takeErrors(): void {
  if (working++ > 0) return;
  before = config.onUnhandledError;
  config.onUnhandledError = tellLatest;
}

function giveErrorsBack(): void {
  if (--working > 0) return;
  config.onUnhandledError = before;
  latest = undefined;
}

function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
