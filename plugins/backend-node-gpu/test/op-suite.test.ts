import { opSuite } from "@deft-js/testkit";
import { beforeAll, describe, it } from "vitest";
import { nodeGpuBackend } from "../src/index.ts";
import type { TensorFlowPackage } from "../src/index.ts";

const backend = nodeGpuBackend();

/** The package that starts here, the GPU's before the CPU's; and why none does. */
async function found(): Promise<{ readonly name?: TensorFlowPackage; readonly why: string }> {
  let why = "";
  for (const name of ["tfjs-node-gpu", "tfjs-node"] as const) {
    try {
      await backend.start({ package: name });
      return { name, why };
    } catch (error) {
      why += `${(error as Error).message} `;
    }
  }
  return { why };
}

const { name, why } = await found();
if (name === undefined) console.warn(`skipped: ${why}`);

describe.skipIf(name === undefined)(`op suite on ${name}`, () => {
  beforeAll(() => backend.start({ package: name }));
  for (const check of opSuite()) it(check.name, check.run);
});
