import type { StackName } from "./parameters.ts";

/** Where a module stands. */
export interface Place {
  /** Its Hugging Face path. */
  readonly path: string;
  readonly stack: StackName;
  /** The block's number. */
  readonly layer: number;
}
