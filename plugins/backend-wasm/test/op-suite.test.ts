import { BACKEND, Kernel } from "@deft-js/core";
import { opSuite } from "@deft-js/testkit";
import { beforeAll, describe, it } from "vitest";
import wasm from "../src/index.ts";

describe("op suite on wasm", () => {
  beforeAll(() => new Kernel().use(wasm).create(BACKEND, "wasm").start());
  for (const check of opSuite()) it(check.name, check.run);
});
