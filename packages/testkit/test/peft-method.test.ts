import type { HostBatch } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { peftMethodChecks, toyModel, type Check } from "../src/index.ts";
import { diagonal, diagonalReader, type Flaw } from "./diagonal.ts";
import { failures } from "./failures.ts";

const batch: HostBatch = { size: 2, seq: 3, inputIds: Int32Array.of(1, 4, 2, 7, 3, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0), labels: Int32Array.of(2, 0) };

const checks = (flaw?: Flaw, more: { readonly randomStart?: boolean } = {}): readonly Check[] =>
  peftMethodChecks({ ...more, method: () => diagonal(flaw), model: () => toyModel({ sizes: { layers: 1 } }), batch, identityAtStart: true, merges: true, layouts: ["peft"], readers: [diagonalReader(flaw)] });

/** Which check each flaw must be caught by. */
const CAUGHT: Readonly<Record<Flaw, string>> = {
  options: "is described by plain JSON",
  path: "owns trainable variables with paths of their own",
  frozen: "owns trainable variables with paths of their own",
  unseeded: "starts from the generator alone",
  start: "starts as the identity",
  noise: "computes the same twice in evaluation mode",
  base: "changes all of its variables and nothing else",
  idle: "changes all of its variables and nothing else",
  merge: "merges into the same function",
  wrapper: "detaches without a trace",
  leak: "detaches without a trace",
  order: "detaches in any order",
  state: "carries its state over",
  trusting: "refuses a state that is not its own",
  growth: "keeps the number of tensors from step to step",
  momentum: "continues as if it had not stopped",
  layout: "moves through the peft layout",
  incomplete: "refuses incomplete tensors in the peft layout",
  reader: "is read back from its peft configuration (reader 1)",
};

describe("peftMethodChecks", () => {
  it("passes a sound method", async () => expect(await failures(checks())).toEqual(new Map()));

  it.each(Object.entries(CAUGHT))("catches the flaw %s", async (flaw, name) => {
    const found = await failures(checks(flaw as Flaw));
    expect([...found.keys()]).toContain(name);
    expect(found.get(name)).not.toMatch(/^not a demand/);
  });

  it("holds a method whose start is promised to be the same for every seed to it", async () => {
    expect(await failures(checks("unseeded", { randomStart: false }))).toEqual(new Map()); // draws from a generator of its own: the same for every seed
    const found = await failures(checks(undefined, { randomStart: false }));
    expect([...found]).toEqual([["starts from the generator alone", expect.stringMatching(/the same values, got others/)]]);
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT))).toEqual(new Set(checks().map(({ name }) => name))));
});
