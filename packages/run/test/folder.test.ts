import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RunStream } from "@deft-js/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checkFolder, claimFolder, eventsFile, openFolder, RECIPE_FILE } from "../src/run/folder.ts";
import { tempFolder } from "./support/tiny.ts";

let folder: string;
const path = (...names: string[]): string => join(folder, ...names);
const refusal = (words: RegExp): unknown => expect.objectContaining({ code: "recipe.output", message: expect.stringMatching(words) as string });

beforeEach(() => {
  folder = tempFolder();
  vi.spyOn(process, "cwd").mockReturnValue(folder);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("runs that begin in the same second get a folder each", () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date(2026, 10, 24, 1, 31, 47) });
  const claimed = ["a", "b", "c"].map((recipe) => claimFolder({ name: "mine", recipe }));
  expect(claimed).toEqual(["", "-2", "-3"].map((suffix) => path("runs", `20261124-013147-mine${suffix}`)));
  expect(claimed.map((one) => readFileSync(join(one, RECIPE_FILE), "utf8"))).toEqual(["a", "b", "c"]);
});

test("of runs that were checked before either began, one gets the named folder", () => {
  const output = path("deep", "out");
  for (let i = 0; i < 2; i++) checkFolder(output, false);
  expect(claimFolder({ output, name: "mine", recipe: "first" })).toBe(output);
  expect(() => claimFolder({ output, name: "mine", recipe: "second" })).toThrow(refusal(/another run has begun/));
  expect(readFileSync(join(output, RECIPE_FILE), "utf8")).toBe("first");
});

test("an empty folder is taken, one with entries is not; what is resumed holds a run", () => {
  mkdirSync(path("empty"));
  checkFolder(path("empty"), false);
  claimFolder({ output: path("empty"), name: "mine", recipe: "first" });
  expect(() => checkFolder(path("empty"), false)).toThrow(refusal(/new or empty/));
  checkFolder(path("empty"), true);
  for (const [output, got] of [[undefined, "got no folder"], [folder, `got none in ${folder}`]] as const) expect(() => checkFolder(output, true)).toThrow(expect.objectContaining({ code: "recipe.resume", message: expect.stringContaining(got) as string }));
});

test("a place where no folder can be made is refused with the system's reason", () => {
  writeFileSync(path("file"), "");
  expect(() => checkFolder(path("file"), false)).toThrow(refusal(/got \S*file: ENOTDIR/));
  for (const work of [claimFolder, ({ output }: { output: string }) => openFolder(output)]) expect(() => work({ output: path("file", "out"), name: "mine", recipe: "" })).toThrow(refusal(/got \S*out: ENOTDIR/));
  writeFileSync(path("runs"), "");
  expect(() => claimFolder({ name: "mine", recipe: "" })).toThrow(refusal(/got \S*-mine: EEXIST/));
  expect(readdirSync(folder).sort()).toEqual(["file", "runs"]);
  mkdirSync(path("run", "events.jsonl"), { recursive: true });
  expect(() => eventsFile(path("run")).connect({ events: new RunStream().events, command: () => undefined })).toThrow(refusal(/EISDIR/));
});

test.runIf(existsSync("/dev/full"))("events that find the disk full are a warning, once", async () => {
  symlinkSync("/dev/full", path("events.jsonl"));
  const stream = new RunStream();
  const warnings: string[] = [];
  const subscription = stream.events.subscribe((event) => event.type === "warning" && warnings.push(event.message));
  const disconnect = eventsFile(folder).connect({ events: stream.events, command: () => undefined });
  await stream.guard(() => Promise.resolve(stream.warn("first")));
  disconnect();
  subscription.unsubscribe();
  stream.complete();
  expect(warnings).toEqual(["first", expect.stringMatching(/ENOSPC/)]);
});
