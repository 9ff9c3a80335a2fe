import { useBackend } from "@deft-js/tensor";
import { opSuite } from "@deft-js/testkit";
import { beforeAll, describe, it } from "vitest";
import { nativeStatus, registerNative } from "../src/index.ts";

const { problem } = nativeStatus();

describe.skipIf(problem !== undefined)(`op suite on native${problem === undefined ? "" : `: ${problem}`}`, () => {
  beforeAll(async () => {
    registerNative();
    await useBackend("native");
  });
  for (const check of opSuite()) it(check.name, check.run);
});
