/** Lets timers, signals and other callbacks run: back-ends that compute synchronously would starve them. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
