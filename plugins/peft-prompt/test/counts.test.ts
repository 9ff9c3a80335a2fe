import { ops, type Model } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { prompt } from "../src/index.ts";

/** Sizes of real models, and what PEFT 0.3 counts as trainable with 60 virtual tokens and two labels: it counts a classifier twice. */
const MODELS = [
  { name: "bert-base-uncased", d: 768, head: 768 * 2 + 2, trainable: 49156 },
  { name: "bert-large-uncased", d: 1024, head: 1024 * 2 + 2, trainable: 65540 },
  { name: "roberta-base", d: 768, head: 768 * 768 + 768 + 768 * 2 + 2, trainable: 1230340 },
  { name: "roberta-large", d: 1024, head: 1024 * 1024 + 1024 + 1024 * 2 + 2, trainable: 2164740 },
  { name: "t5-small", d: 512, head: 0, trainable: 61440 },
  { name: "t5-base", d: 768, head: 0, trainable: 92160 },
  { name: "flan-t5-small", d: 512, head: 0, trainable: 61440 },
  { name: "flan-t5-base", d: 768, head: 0, trainable: 92160 },
  { name: "flan-t5-large", d: 1024, head: 0, trainable: 122880 },
  { name: "flan-t5-xl", d: 2048, head: 0, trainable: 245760 },
  { name: "opt-125m", d: 768, head: 0, trainable: 46080 },
];

/** A model of nothing but its embedding sites and, of an encoder-decoder, one cross-attention. */
function outline(name: string, d: number): Model {
  const undo = (): (() => void) => () => undefined;
  const site = (stack: string, role?: string) => ({ path: `${stack}.embed_tokens`, stack, role, dIn: 100, dOut: d, wrap: undo });
  const both = name.includes("t5");
  const embedding = both ? [site("encoder"), site("decoder")] : [site(name.startsWith("opt") ? "decoder" : "encoder")];
  const attention = [site("encoder", "attention"), ...(both ? [site("decoder", "cross-attention")] : [])];
  return { family: name, config: { hidden_size: d }, head: "none", sites: (kind: string) => (kind === "embedding" ? embedding : attention) } as unknown as Model;
}

describe("trainable parameters at real sizes", () => {
  it.each(MODELS)("$name: $trainable, as PEFT 0.3 counts", ({ name, d, head, trainable }) => {
    const count = (compat?: "peft" | "peft-0.3") => {
      const attachment = prompt({ virtualTokens: 60, init: "random", compat }).attach(outline(name, d), new ops.Rng(1));
      const size = attachment.variables.reduce((sum, variable) => sum + variable.size, 0);
      attachment.detach();
      return size;
    };
    expect([count("peft-0.3") + 2 * head, count("peft") + 2 * head]).toEqual([trainable, trainable]);
    expect(count()).toBe(60 * d);
  });
});
