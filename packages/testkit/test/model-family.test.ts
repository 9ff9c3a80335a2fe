import { ops, type HostBatch, type Model, type ModelFamily, type Site, type SiteKind } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { modelFamilyChecks, toyFamily, type Check } from "../src/index.ts";
import { failures } from "./failures.ts";

type Flaw = "blind" | "shape" | "loss" | "tapped" | "masks" | "noise" | "padding" | "leak" | "disposal" | "dead" | "undo" | "idle" | "paths" | "replace" | "export" | "lenient";

const batch: HostBatch = { size: 2, seq: 3, inputIds: Int32Array.of(1, 4, 2, 7, 3, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0), labels: Int32Array.of(2, 0) };

let drawn = 0;

/** The toy family with a flaw laid over its models. */
function family(flaw?: Flaw): ModelFamily {
  return {
    ...toyFamily,
    build: async (options) => {
      try {
        return flawed(await toyFamily.build(options), flaw);
      } catch (error) {
        if (flaw !== "lenient") throw error;
        return toyFamily.build({ ...options, source: undefined });
      }
    },
  };
}

function flawed(model: Model, flaw?: Flaw): Model {
  const forward: Model["forward"] = (inputs, taps, context) => {
    if (flaw === "leak") ops.tf.keep(ops.tf.scalar(1));
    const seen = flaw === "padding" ? { ...inputs, attentionMask: ops.ones(inputs.attentionMask.shape) } : inputs;
    const result = model.forward(seen, flaw === "tapped" ? { activations: true } : flaw === "blind" ? { ...taps, observe: undefined } : taps, context);
    if (flaw === "shape") return { ...result, logits: ops.concat([result.logits, result.logits], 1) };
    if (flaw === "noise") return { ...result, logits: ops.scale(result.logits, 1 + drawn++) };
    if (flaw === "dead") return { ...result, logits: ops.noGradient(() => ops.scale(result.logits, 1)) };
    if (flaw === "masks") return { ...result, activations: result.activations.map((a) => ({ ...a, mask: ops.ones([1, 1]) })) };
    return result;
  };
  const sites = <K extends SiteKind>(kind: K, pattern?: RegExp): readonly Site<K>[] => {
    const found = model.sites(kind, flaw === "paths" ? undefined : pattern);
    if (flaw === "idle") return found.map((site) => Object.assign(Object.create(site) as Site<K>, { wrap: () => () => undefined }));
    if (flaw === "undo") return found.map((site) => Object.assign(Object.create(site) as Site<K>, { wrap: (...args: Parameters<Site<K>["wrap"]>) => (site.wrap(...args), () => undefined) }));
    return found;
  };
  return {
    family: model.family, config: model.config, head: model.head, forward, sites,
    loss: (result, inputs) => (flaw === "loss" ? ops.scale(model.loss(result, inputs), Infinity) : flaw === "dead" ? ops.add(model.loss(result, inputs), ops.scale(ops.sum(model.headParameters()[1]!.value), 0)) : model.loss(result, inputs)),
    parameters: () => model.parameters(),
    headParameters: () => model.headParameters(),
    exportParameters: function* () {
      for (const array of model.exportParameters()) yield flaw === "export" && array.name === "classifier.weight" ? { ...array, values: array.values.map((value) => -value) } : array;
    },
    replaceWeight: (path, weight) => (flaw === "replace" ? weight.dispose() : model.replaceWeight(path, weight)),
    dispose: () => (flaw === "disposal" ? undefined : model.dispose()),
  };
}

const checks = (flaw?: Flaw): readonly Check[] => modelFamilyChecks({ family: family(flaw), config: { model_type: "toy", layers: 1 }, head: "sequence-classification", labels: 3, batch, padId: 0 });

const wraps = (kind: SiteKind): string => `runs every ${kind} site through its wrappers and undoes them in any order`;

const CAUGHT: Readonly<Record<Flaw, readonly string[]>> = {
  shape: ["gives logits of the head's shape and a finite loss"],
  loss: ["gives logits of the head's shape and a finite loss"],
  blind: ["gives what is tapped and nothing else"],
  tapped: ["gives what is tapped and nothing else"],
  masks: ["gives what is tapped and nothing else"],
  noise: ["computes the same twice in evaluation mode"],
  padding: ["does not see padding"],
  leak: ["keeps the number of tensors"],
  disposal: ["disposes all that it made"],
  dead: ["sends a gradient to its head"],
  undo: (["embedding", "linear", "attention", "residual", "activation", "mlp", "norm"] as const).map(wraps),
  idle: (["embedding", "linear", "attention", "residual", "activation", "mlp", "norm"] as const).map(wraps),
  paths: ["names its sites and chooses them by pattern"],
  replace: ["takes another weight"],
  export: ["exports what it can import"],
  lenient: ["refuses missing, unexpected and misshapen tensors"],
};

describe("modelFamilyChecks", () => {
  it("passes a sound family", async () => expect(await failures(checks())).toEqual(new Map()));

  it.each(Object.entries(CAUGHT))("catches the flaw %s", async (flaw, names) => {
    const found = await failures(checks(flaw as Flaw));
    for (const name of names) {
      expect([...found.keys()]).toContain(name);
      expect(found.get(name)).not.toMatch(/^not a demand/);
    }
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT).flat())).toEqual(new Set(checks().map(({ name }) => name))));
});
