/**
 * `npm run parity -- FOLDER… [--backend NAME]`: rebuilds a peer's fixture with our code and compares every quantity.
 * Exit code 0: all hold; 1: one does not; 2: a folder's kind is not supported.
 */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Kernel } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { Unsupported } from "./build.ts";
import { json } from "./fixture.ts";
import { checkModel } from "./model-fixture.ts";
import { checkNumerics } from "./numerics.ts";
import { checkQuantization } from "./quantization.ts";
import { checkPruning } from "./pruning.ts";
import { holds, render, type Line } from "./report.ts";
import { checkTrajectory } from "./trajectory.ts";

/** Compares one folder. Throws `Unsupported` when the kind, the model or the method is not known. */
export async function checkFolder(folder: string, kernel: Kernel): Promise<Line[]> {
  if (!existsSync(`${folder}/expected.json`)) throw new Unsupported("there is no expected.json");
  const expected = await json<Record<string, unknown>>(folder, "expected.json");
  if (expected["steps"] !== undefined) return checkTrajectory(folder, kernel);
  if (expected["gelu_exact_zero_thresholds"] !== undefined) return checkNumerics(folder);
  if (expected["packing"] !== undefined) return checkQuantization(folder, kernel);
  if (expected["runs"] !== undefined && expected["scaler_row_definition"] !== undefined) return checkPruning(folder);
  if (existsSync(`${folder}/config.json`)) return checkModel(folder, kernel);
  throw new Unsupported("it is neither a model, a trajectory, numerics, quantized matrices nor masks");
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { backend: { type: "string", default: "auto" } } });
  if (positionals.length === 0) {
    console.error("parity: needs at least one folder. Usage: npm run parity -- FOLDER… [--backend NAME]");
    return 1;
  }
  const { kernel, backend } = await startKernel(values.backend);
  let code = 0;
  for (const folder of positionals) {
    console.log(`${basename(resolve(folder))} on ${backend}`);
    try {
      const lines = await checkFolder(resolve(folder), kernel);
      for (const line of lines) console.log(render(line));
      if (!lines.every(holds)) code = 1;
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      console.log(`  not supported yet: ${error.message}`);
      if (code === 0) code = 2;
    }
  }
  return code;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
