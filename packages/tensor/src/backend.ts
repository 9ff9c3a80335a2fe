import { DeftError } from "./errors.ts";
import { registerHostKernels } from "./host-kernels.ts";
import { tf } from "./tfjs.ts";

registerHostKernels("cpu");

/** Makes a registered back-end the active one. Throws `tensor.backend` when it is unknown or does not start. */
export async function useBackend(name: string): Promise<void> {
  if (tf.engine().registryFactory[name] === undefined)
    throw new DeftError("tensor.backend", `back-end: ${name} is not registered. Known: ${Object.keys(tf.engine().registryFactory).join(", ")}.`);
  if (!(await tf.setBackend(name))) throw new DeftError("tensor.backend", `back-end: ${name} did not start. Run \`deft doctor\` to see why.`);
  await tf.ready();
}

/** The name of the active back-end. */
export function backendName(): string {
  return tf.getBackend();
}
