/**
 * `npm run synthesize -- --shape flan-t5-xl --out DIR [--shard-mb 2000] [--seed 42]`: writes a Hugging Face folder of random bfloat16
 * weights of a published T5 shape, in shards, one tensor at a time in memory.
 */
import { parseArgs } from "node:util";
import { parseConfig, t5Specs } from "@deft-js/plugin-model-t5";
import { writeSyntheticCheckpoint } from "./checkpoint.ts";
import { SHAPES } from "./shapes.ts";

const { values } = parseArgs({ options: { shape: { type: "string" }, out: { type: "string" }, "shard-mb": { type: "string", default: "2000" }, seed: { type: "string", default: "42" } } });
const config = SHAPES[values.shape ?? ""];
const shardBytes = Number(values["shard-mb"]) * 1e6;
if (config === undefined || values.out === undefined || !(shardBytes > 0)) {
  console.error(`synthesize: needs --shape and --out, got ${values.shape ?? "no shape"} and ${values.out ?? "no folder"}. Shapes: ${Object.keys(SHAPES).join(", ")}.`);
  process.exitCode = 1;
} else {
  const specs = t5Specs(parseConfig(config), true);
  const started = performance.now();
  const { shards, bytes } = await writeSyntheticCheckpoint({ folder: values.out, config, specs, shardBytes, seed: Number(values.seed) });
  const parameters = specs.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
  console.log(`${values.out}: ${(parameters / 1e9).toFixed(3)} billion parameters, ${(bytes / 1e9).toFixed(2)} GB in ${shards} shards, ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
