/**
 * Waits for Dawn without giving up the thread. Dawn's Node addon completes what it promised (a buffer being mapped) inside a function that it hands to
 * `setImmediate`, so that a synchronous read would wait for ever. While one of Dawn's functions runs, the pump stands in for `setImmediate`: it keeps what
 * it is handed, has the event loop call it as ever, and can call it at once where somebody waits.
 */
export class EventPump {
  #pending: (() => void) | undefined;

  /** Calls a function of Dawn that begins something asynchronous. */
  within<T>(call: () => T): T {
    const real = globalThis.setImmediate;
    const standIn = (task: () => void): void => {
      this.#pending = task;
      real(() => this.#run());
    };
    globalThis.setImmediate = standIn as unknown as typeof setImmediate;
    try {
      return call();
    } finally {
      globalThis.setImmediate = real;
    }
  }

  /** Lets Dawn work until `done`; false when it has nothing more to do and still is not done. */
  waitUntil(done: () => boolean): boolean {
    while (!done()) {
      if (this.#pending === undefined) return false;
      this.#run();
      if (!done()) Atomics.wait(NAP, 0, 0, NAP_MILLISECONDS);
    }
    return true;
  }

  #run(): void {
    const task = this.#pending;
    this.#pending = undefined;
    if (task !== undefined) this.within(task);
  }
}

const NAP = new Int32Array(new SharedArrayBuffer(4));
/** Short beside a step, long enough to leave the processor to a driver that computes on it. */
const NAP_MILLISECONDS = 0.05;
