import { stat } from "node:fs/promises";
import { DeftError } from "@deft-js/core";

/** What was found instead of what. */
export interface PickleFinding {
  readonly folder: string;
  /** The pickle that is there. */
  readonly got: string;
  /** The safetensors file that should be. */
  readonly wanted: string;
}

/** `checkpoint.pickle`: pickles run code when they are read, so they are not; the message says how to convert one. */
export function pickleError({ folder, got, wanted }: PickleFinding): DeftError {
  const remedy = got.endsWith(".json")
    ? "transformers' model.save_pretrained(folder) writes it."
    : `Convert it once, in Python, in that folder: torch and safetensors.torch: save_file({k: v.contiguous().clone() for k, v in torch.load("${got}", map_location="cpu", weights_only=True).items()}, "${wanted}", metadata={"format": "pt"}).`;
  return new DeftError("checkpoint.pickle", `${folder}: weights must be safetensors (${wanted}), got a pickle (${got}), which can run code when it is read. ${remedy}`);
}

/** True when there is a file (or a link to one) at the path. */
export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
