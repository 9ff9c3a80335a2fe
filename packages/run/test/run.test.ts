import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { makeWorld } from "./support/world.ts";

test("a recipe leaves the resolved recipe, events, metrics, checkpoints and the adapter", async () => {
  const world = await makeWorld();
  const { folder, metrics } = await world.run();
  expect(folder).toBe(world.path("out"));
  expect(readdirSync(folder).sort()).toEqual(["adapter", "checkpoints", "events.jsonl", "metrics.json", "recipe.resolved.yaml"]);
  const types = world.events("out").map(({ type }) => type);
  expect(types[0]).toBe("run.started");
  expect(types.at(-1)).toBe("run.completed");
  expect(types.filter((type) => type === "step.completed")).toHaveLength(6);
  expect(Object.keys(metrics)).toEqual(["finetune", "evaluate"]);
  console.log(JSON.stringify(metrics["evaluate"]).slice(0, 600));
});
