import { beforeAll, describe, it } from "vitest";
import { useBackend } from "@deft-js/tensor";
import { opSuite } from "../src/op-suite/index.ts";

describe("op suite on cpu", () => {
  beforeAll(() => useBackend("cpu"));
  for (const check of opSuite()) it(check.name, check.run);
});
