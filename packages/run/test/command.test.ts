import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { pluginSource, writePackage } from "./support/package.ts";
import { makeWorld, type World } from "./support/world.ts";

const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** The command in a process of its own, in the world's folder; `whenSeen` may end it. */
function deft(world: World, args: readonly string[], interfere?: (child: ReturnType<typeof spawn>) => void): Promise<Ended> {
  const child = spawn(process.execPath, ["--conditions=@deft-js/source", "--import", TSX, MAIN, ...args], { cwd: world.folder, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  interfere?.(child);
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, out, err })));
}

let world: World;

beforeAll(async () => {
  world = await makeWorld({ rows: 64 });
  world.write();
});

test("a quiet run prints one line; predict, density and the export read what it left", async () => {
  const set = ["--set", "finetune.epochs=1", "--set", "finetune.losses=[]"];
  expect(await deft(world, ["run", "recipe.yaml", "--quiet", "--output", "quiet", ...set])).toMatchObject({ code: 0, err: "", out: expect.stringMatching(/^\S*quiet {2}accuracy 0\.\d+ [^\n]*\n$/) as string });
  const predicted = await deft(world, ["predict", "quiet", "--text", "the film was good", "--text", "the film was bad", "--backend", "cpu"]);
  expect(predicted).toMatchObject({ code: 0, err: "" });
  const lines = predicted.out.trim().split("\n").map((line) => JSON.parse(line) as { text: string; label: string; probabilities: Record<string, number> });
  expect(lines.map(({ text }) => text)).toEqual(["the film was good", "the film was bad"]);
  for (const { label, probabilities } of lines) {
    expect(Object.keys(probabilities)).toEqual(["bad", "good"]);
    expect(probabilities["bad"]! + probabilities["good"]!).toBeCloseTo(1, 6);
    expect(probabilities[label]).toBe(Math.max(...Object.values(probabilities)));
  }
  const density = await deft(world, ["density", "tiny", "--data", "data/dev.csv", "--backend", "cpu", "--json"]);
  expect(density.code).toBe(0);
  expect(JSON.parse(density.out)).toMatchObject({ examples: 8, layers: [{ layer: 0 }, { layer: 1 }] });
});

test("a stranger's method, in a dependency with the keyword, needs one line of recipe; its adapter comes back", async () => {
  writeFileSync(world.path("package.json"), JSON.stringify({ dependencies: { "deft-shift": "1" } }));
  writePackage(world.path("node_modules", "deft-shift"), "deft-shift", { keywords: ["deft-plugin"] }, pluginSource("shift"));
  expect(await deft(world, ["run", "recipe.yaml", "--quiet", "--output", "shifted", "--set", "finetune.epochs=1", "--set", "finetune.peft={ shift: {} }"])).toMatchObject({ code: 0, err: "" });
  expect(existsSync(world.path("shifted", "adapter", "adapter_deft.safetensors"))).toBe(true);
  expect(await deft(world, ["predict", "shifted", "--text", "the film", "--backend", "cpu"])).toMatchObject({ code: 0, err: "" });
});

test("two runs at once never share a folder", async () => {
  const { output: _, ...content } = world.content;
  writeFileSync(world.path("free.yaml"), JSON.stringify(content));
  const set = ["--quiet", "--set", "finetune.epochs=1"];
  const free = await Promise.all([deft(world, ["run", "free.yaml", ...set]), deft(world, ["run", "free.yaml", ...set])]);
  expect(free.map(({ code }) => code)).toEqual([0, 0]);
  expect(new Set(free.map(({ out }) => out.split("  ")[0])).size).toBe(2);
  const same = await Promise.all([deft(world, ["run", "recipe.yaml", "--output", "same", ...set]), deft(world, ["run", "recipe.yaml", "--output", "same", ...set])]);
  expect(same.map(({ code }) => code).sort()).toEqual([0, 2]);
  expect(same.map(({ err }) => err).join("")).toMatch(/^error \[recipe\.output\] output: /);
}, 120_000);

test("what is wrong is said with its code and exit code, and leaves nothing", async () => {
  const ended = await deft(world, ["run", "recipe.yaml", "--output", "wrong", "--set", "finetune.peft.lora.rnak=2"]);
  expect(ended).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/^error \[recipe\.invalid\] recipe\.yaml: .*rnak.*known: rank/) as string });
  expect(ended.err).not.toMatch(/^\s+at /m);
  expect(existsSync(world.path("wrong"))).toBe(false);
});

/** Ends the process by a signal once the run has saved a checkpoint. */
async function afterCheckpoint(run: string, child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<void> {
  const file = world.path(run, "events.jsonl");
  const saved = (): boolean => existsSync(file) && readFileSync(file, "utf8").includes('"checkpoint.saved"');
  while (child.exitCode === null && !saved()) await sleep(10);
  child.kill(signal);
}

test("a killed run resumes from its last checkpoint and ends with the same bits; an interrupted one exits with 130", async () => {
  const set = ["--set", "finetune.epochs=2", "--set", "finetune.batchSize=2", "--set", "finetune.saveEvery=7", "--quiet"];
  await deft(world, ["run", "recipe.yaml", "--output", "whole", ...set]);
  const killed = await deft(world, ["run", "recipe.yaml", "--output", "killed", ...set], (child) => void afterCheckpoint("killed", child, "SIGKILL"));
  expect(killed.signal).toBe("SIGKILL");
  expect(existsSync(world.path("killed", "metrics.json"))).toBe(false);
  expect(await deft(world, ["run", "killed", "--resume", "--quiet"])).toMatchObject({ code: 0, err: "" });
  const bits = (run: string): string => readFileSync(world.path(run, "adapter", "adapter_model.safetensors")).toString("base64");
  expect(bits("killed")).toBe(bits("whole"));
  expect(world.json("killed", "metrics.json")["stages"]).toEqual(world.json("whole", "metrics.json")["stages"]);
  const interrupted = await deft(world, ["run", "recipe.yaml", "--output", "interrupted", ...set], (child) => void afterCheckpoint("interrupted", child, "SIGINT"));
  expect(interrupted).toMatchObject({ code: 130 });
  rmSync(world.path("interrupted"), { recursive: true });
}, 180_000);
