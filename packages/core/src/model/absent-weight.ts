import { DeftError, type Tensor } from "@deft-js/tensor";
import type { Weight } from "../contracts/weight.ts";

/** The weight of a linear layer in a skipped block: nothing was read, nothing is held, and using it is an error. */
export class AbsentWeight implements Weight {
  readonly shape: readonly [number, number];
  readonly format = "absent";
  readonly bytes = 0;
  readonly #path: string;

  constructor(path: string, shape: readonly [number, number]) {
    this.#path = path;
    this.shape = shape;
  }

  apply(): Tensor {
    throw this.#error();
  }

  dense(): Tensor {
    throw this.#error();
  }

  dispose(): void {
    // holds nothing
  }

  #error(): DeftError {
    return new DeftError("weight.absent", `weight ${this.#path}: must be there to be used, got one that was left unread because its block is skipped. Load the model without the skip plan.`);
  }
}
