import type { HostBatch } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { peftMethodChecks, toyModel, type Check, type PeftMethodSubject } from "../src/index.ts";
import { diagonal, diagonalContribution, diagonalReader, type Flaw } from "./diagonal.ts";
import { failures } from "./failures.ts";

const batch: HostBatch = { size: 2, seq: 3, inputIds: Int32Array.of(1, 4, 2, 7, 3, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0), labels: Int32Array.of(2, 0) };

const checks = (flaw?: Flaw, more: Partial<PeftMethodSubject> = {}): readonly Check[] =>
  peftMethodChecks({ method: () => diagonal(flaw), model: () => toyModel({ sizes: { layers: 1 } }), batch, identityAtStart: true, merges: true, layouts: ["peft"], readers: [diagonalReader(flaw)], contribution: diagonalContribution, ...more });

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
  mixing: "computes each row of a batch as it does alone",
  padding: "computes each row of a batch as it does alone",
  mergeless: "can be merged where it says so, and nowhere else",
  unlisted: "has the layouts that are listed, and no other",
  closure: "is made again by its options",
  renamed: "is made again by its options",
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

  it("holds a method to its silence on merging and on layouts", async () => {
    expect([...(await failures(checks("merge", { merges: false }))).keys()]).toEqual(["can be merged where it says so, and nowhere else"]);
    expect([...(await failures(checks(undefined, { layouts: [], readers: [] }))).keys()]).toEqual(["has the layouts that are listed, and no other"]);
  });

  it("finds what mixes rows in a batch without padding, too", async () => {
    const full = { ...batch, attentionMask: batch.attentionMask.map(() => 1) };
    for (const flaw of ["mixing", "padding"] as const) expect([...(await failures(checks(flaw, { batch: full }))).keys()]).toContain("computes each row of a batch as it does alone");
    expect(await failures(checks(undefined, { batch: full }))).toEqual(new Map());
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT))).toEqual(new Set(checks().map(({ name }) => name))));
});
