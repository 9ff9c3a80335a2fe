/** An engine that runs the ops. */
export interface Backend {
  readonly id: string;
  /** In `auto`, the back-end with the highest rank that starts is taken: node-gpu 40, native 30, webgpu 20, wasm 10, cpu 0. */
  readonly rank: number;
  /** Registers it with tfjs. Throws a DeftError that says what is missing and the one command that brings it. */
  start(options?: Readonly<Record<string, unknown>>): Promise<void>;
  /** What `deft doctor` shows, after `start` succeeded. */
  status(): Readonly<Record<string, string | number | boolean>>;
}
