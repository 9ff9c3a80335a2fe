import fc from "fast-check";
import { DeftError } from "@deft-js/core";
import { createKernel, parseRecipe, recipeJsonSchema } from "@deft-js/run";
import { expect, test } from "vitest";
import { applyOverrides } from "../src/recipe/overrides.ts";
import { absolutePaths } from "../src/recipe/paths.ts";
import { tempFolder, writeTokenizer } from "./support/tiny.ts";
import { PLUGINS } from "./support/world.ts";

const RECIPE = { model: "m", stages: [{ finetune: { epochs: 3, losses: [{ density: { weight: 1 } }] } }, { evaluate: {} }] };

test("overrides set values by path, list index and stage, and leave the original alone", () => {
  const set = applyOverrides(RECIPE, ["finetune.epochs=1", "stages.0.finetune.losses.0.density.weight=0.5", "seed=7", "evaluate.splits=[dev]", "finetune.peft={ lora: { rank: 4 } }", "name=a=b", "finetune.task.text.pair="]);
  expect(set).toEqual({
    model: "m", seed: 7, name: "a=b",
    stages: [{ finetune: { epochs: 1, losses: [{ density: { weight: 0.5 } }], peft: { lora: { rank: 4 } }, task: { text: { pair: "" } } } }, { evaluate: { splits: ["dev"] } }],
  });
  expect(RECIPE.stages[0]).toEqual({ finetune: { epochs: 3, losses: [{ density: { weight: 1 } }] } });
});

test.each(["seed", "=1", "a..b=1", "__proto__.x=1", "stages.9.finetune.epochs=1", "stages.first=1", "model.path=x", "seed=[", "seed=*a"])("the override %s is refused", (setting) => {
  expect(() => applyOverrides(RECIPE, [setting])).toThrow(expect.objectContaining({ code: "recipe.override" }));
});

test("a stage that occurs twice must be named by its index", () => {
  expect(() => applyOverrides({ stages: [{ evaluate: {} }, { evaluate: {} }] }, ["evaluate.batchSize=1"])).toThrow(/got 2\. Write stages\.0\.evaluate\.batchSize/);
});

test("paths are absolute, hub names stay", () => {
  const folder = tempFolder();
  writeTokenizer(`${folder}/tiny`);
  const recipe = { model: "tiny", output: "runs/a", stages: [{ finetune: { task: { text: { train: "tiny/tokenizer.json", text: "tiny" } } } }, { export: { path: "out" } }, { pretrain: { text: "t.txt" } }], plugins: ["./p.mjs", "a-package"] };
  expect(absolutePaths(recipe, folder)).toEqual({
    model: `${folder}/tiny`, output: `${folder}/runs/a`, plugins: [`${folder}/p.mjs`, "a-package"],
    stages: [{ finetune: { task: { text: { train: `${folder}/tiny/tokenizer.json`, text: "tiny" } } } }, { export: { path: `${folder}/out` } }, { pretrain: { text: `${folder}/t.txt` } }],
  });
  expect(absolutePaths({ model: "owner/name" }, folder)).toEqual({ model: "owner/name" });
  expect(absolutePaths({ model: { path: "../up", adapter: "a" } }, "/x/y")).toEqual({ model: { path: "/x/up", adapter: "/x/y/a" } });
});

const BOMB = `a: &a [x, x]\n${Array.from({ length: 12 }, (_, i) => `${"bcdefghijklm"[i]}: &${"bcdefghijklm"[i]} [${Array.from({ length: 10 }, () => `*${"abcdefghijklm"[i]}`).join(", ")}]`).join("\n")}\n`;

test.each([
  ["brackets", "[".repeat(100_000)], ["dashes", "- ".repeat(50_000)], ["question marks", "? ".repeat(10_000)], ["indentation", `${" ".repeat(5000)}a: 1`],
  ["aliases", BOMB], ["a duplicate key", "model: a\nmodel: b\n"], ["a list", "- a\n"], ["nothing", ""], ["a tag", "model: !!js/function x\n"], ["two documents", "a: 1\n---\nb: 2\n"],
  ["size", `model: ${"x".repeat(2 ** 20)}\n`], ["__proto__", "__proto__: { a: 1 }\n"],
])("a recipe with %s is refused at once", (_name, text) => {
  expect(() => parseRecipe(text, "r.yaml")).toThrow(expect.objectContaining({ code: "recipe.syntax", message: expect.stringMatching(/^r\.yaml: .*, got .*\. /) as string }));
});

test("any text is parsed into an object or refused with the documented code", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: fc.constantFrom(..."{}[]:,-?&*!|>'\"%@` \n\tab0#~"), maxLength: 120 })), (text) => {
      try {
        expect(parseRecipe(text, "r")).toBeTypeOf("object");
      } catch (error) {
        expect(error).toBeInstanceOf(DeftError);
        expect((error as DeftError).code).toBe("recipe.syntax");
      }
    }),
    { numRuns: 300 },
  );
});

test("the JSON Schema holds every plugin's options", async () => {
  const schema = recipeJsonSchema(await createKernel({ plugins: PLUGINS, discover: false }));
  const text = JSON.stringify(schema);
  expect(schema).toMatchObject({ type: "object", required: ["model", "stages"], additionalProperties: false });
  for (const known of ["reductionFactor", "epsilon", "learningRate", "evaluationFraction", "earlyStopping", "wasm"]) expect(text).toContain(`"${known}"`);
});
