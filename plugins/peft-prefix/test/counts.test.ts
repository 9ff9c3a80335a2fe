import { ops, type Model } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { prefix, type PrefixSettings } from "../src/index.ts";

interface Sizes {
  readonly name: string;
  readonly d: number;
  readonly layers: number;
  /** heads·dKv, where it is not d. */
  readonly width?: number;
  readonly head?: number;
  /** What PEFT 0.3 counts as trainable with 60 virtual tokens and two labels: it counts a classifier twice. */
  readonly trainable: number;
}

const MODELS: readonly Sizes[] = [
  { name: "bert-base-uncased", d: 768, layers: 12, head: 768 * 2 + 2, trainable: 1108996 },
  { name: "bert-large-uncased", d: 1024, layers: 24, head: 1024 * 2 + 2, trainable: 2953220 },
  { name: "roberta-base", d: 768, layers: 12, head: 768 * 768 + 768 + 768 * 2 + 2, trainable: 2290180 },
  { name: "roberta-large", d: 1024, layers: 24, head: 1024 * 1024 + 1024 + 1024 * 2 + 2, trainable: 5052420 },
  { name: "t5-small", d: 512, layers: 6, trainable: 368640 },
  { name: "t5-base", d: 768, layers: 12, trainable: 1105920 },
  { name: "flan-t5-base", d: 768, layers: 12, trainable: 1105920 },
  { name: "flan-t5-large", d: 1024, layers: 24, trainable: 2949120 },
  { name: "flan-t5-xl", d: 2048, layers: 24, trainable: 5898240 },
  { name: "opt-125m", d: 768, layers: 12, trainable: 1105920 },
];

/** A model of nothing but its attention sites. */
function outline({ name, d, layers, width = d }: Sizes): Model {
  const both = name.includes("t5");
  const site = (stack: string, role: string, layer: number) => ({ path: `${stack}.${layer}.${role}`, stack, role, layer, dIn: width, dOut: width, wrap: () => () => undefined });
  const all = (stack: string, ...roles: string[]) => Array.from({ length: layers }, (_, layer) => roles.map((role) => site(stack, role, layer))).flat();
  const attention = both ? [...all("encoder", "attention"), ...all("decoder", "attention", "cross-attention")] : all(name.startsWith("opt") ? "decoder" : "encoder", "attention");
  return { family: name, config: { hidden_size: d }, head: "none", sites: (kind: string) => (kind === "attention" ? attention : []) } as unknown as Model;
}

function count(sizes: Sizes, settings: PrefixSettings): number {
  const attachment = prefix({ virtualTokens: 60, ...settings }).attach(outline(sizes), new ops.Rng(1));
  const size = attachment.variables.reduce((sum, variable) => sum + variable.size, 0);
  attachment.detach();
  return size;
}

describe("trainable parameters at real sizes", () => {
  it.each(MODELS)("$name: $trainable, as PEFT 0.3 counts", (sizes) => {
    expect(count(sizes, { compat: "peft" }) + 2 * (sizes.head ?? 0)).toBe(sizes.trainable);
  });

  it("flan-t5-small: PEFT counts 491520 for keys of 512 and cannot run them, since its heads take 384; the default does", () => {
    const sizes = { name: "flan-t5-small", d: 512, layers: 8, width: 384, trainable: 60 * 8 * 2 * 512 };
    expect(sizes.trainable).toBe(491520);
    expect(() => count(sizes, { compat: "peft" })).toThrow(expect.objectContaining({ code: "prefix.compat" }));
    expect(count(sizes, {})).toBe(3 * 60 * 8 * 2 * 384);
  });

  it("of adapter-transformers are an MLP's for each pool", () => {
    const mlp = (d: number, m: number, layers: number) => 60 * d + d * m + m + m * layers * 2 * d + layers * 2 * d;
    expect(count(MODELS[0]!, { projectionSize: 512, compat: "adapter-transformers" })).toBe(mlp(768, 512, 12));
    expect(count(MODELS[4]!, { projectionSize: 512, compat: "adapter-transformers" })).toBe(3 * mlp(512, 512, 6));
  });
});
