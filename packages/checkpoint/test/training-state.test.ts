import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { loadTrainingState, saveTrainingState, writeSafetensors } from "../src/index.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();

test("JSON and float32 bits come back as they were", async () => {
  const path = folder.path("run", "last");
  const values = new Float32Array(new Uint32Array([0x7fc01234, 0x80000000, 1, 0x3f800000]).buffer);
  const json = { step: 7, rng: [4294967295, 1], nested: { note: 'é "quoted" \ud83d\ude00', best: 0.1 + 0.2 } };
  await saveTrainingState(path, { json, tensors: [{ name: "adam.m/x", shape: [2, 2], values }] });
  const state = await loadTrainingState(path);
  expect(state.json).toEqual(json);
  const back = state.tensors.get("adam.m/x");
  expect(back?.shape).toEqual([2, 2]);
  expect(new Uint32Array(back!.values.buffer)).toEqual(new Uint32Array(values.buffer));
  expect(await readdir(folder.path("run"))).toEqual(["last"]);
});

test("while it is being replaced, a reader always finds one whole state", async () => {
  const path = folder.path("busy");
  const save = (step: number): Promise<void> =>
    saveTrainingState(path, { json: { step }, tensors: [{ name: "x", shape: [1000], values: new Float32Array(1000).fill(step) }] });
  await save(0);
  let writing = true;
  const writer = (async () => {
    for (let step = 1; step <= 25; step += 1) await save(step);
    writing = false;
  })();
  let reads = 0;
  while (writing) {
    const bytes = await readFile(path);
    const copy = folder.path("copy");
    await writeFile(copy, bytes);
    const { json, tensors } = await loadTrainingState(copy);
    expect(new Set(tensors.get("x")!.values)).toEqual(new Set([json["step"]]));
    reads += 1;
  }
  await writer;
  expect(reads).toBeGreaterThan(0);
  expect((await loadTrainingState(path)).json).toEqual({ step: 25 });
});

test("what JSON would change is refused and the earlier state stays", async () => {
  const path = folder.path("kept");
  await saveTrainingState(path, { json: { best: 1 }, tensors: [] });
  await expectCode(saveTrainingState(path, { json: { best: -Infinity }, tensors: [] }), "checkpoint.json");
  await expectCode(saveTrainingState(path, { json: { moments: new Float32Array(1) }, tensors: [] }), "checkpoint.json");
  expect((await loadTrainingState(path)).json).toEqual({ best: 1 });
});

test("other files are not taken for a state", async () => {
  await expectCode(loadTrainingState(folder.path("absent")), "checkpoint.missing");
  await writeSafetensors(folder.path("weights"), []);
  await expectCode(loadTrainingState(folder.path("weights")), "checkpoint.state");
  await writeSafetensors(folder.path("bad"), [], { metadata: { format: "deft-training-state-1", json: "{" } });
  await expectCode(loadTrainingState(folder.path("bad")), "checkpoint.state");
  await saveTrainingState(folder.path("cut"), { json: {}, tensors: [{ name: "x", shape: [2], values: new Float32Array(2) }] });
  await truncate(folder.path("cut"), 100);
  await expectCode(loadTrainingState(folder.path("cut")), "safetensors.truncated");
});
