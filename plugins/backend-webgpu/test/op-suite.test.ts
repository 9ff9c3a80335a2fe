import { ops } from "@deft-js/core";
import { opSuite } from "@deft-js/testkit";
import { beforeAll, describe, it } from "vitest";
import { COMPILING, create, noAdapter } from "./adapter.ts";

describe.skipIf(noAdapter !== undefined)("op suite on webgpu", () => {
  beforeAll(async () => {
    await create().start({ software: true });
    // tfjs computes on the host where all inputs are small and still there: the programs are what is to be tested.
    ops.tf.env().set("WEBGPU_CPU_FORWARD", false);
  });
  for (const check of opSuite()) it(check.name, check.run, COMPILING);
});
