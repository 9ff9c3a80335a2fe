import { EventEmitter } from "node:events";
import { of } from "rxjs";
import { z } from "zod";
import { describe, expect, test } from "vitest";
import { definePlugin, extensionPoint, Kernel, LOSS_TERM, METER } from "@deft-js/core";
import { interruptible } from "../src/interrupt.ts";
import type { PredictRequest, RunApi, RunRequest } from "../src/index.ts";
import { deft, deftError, evaluation, noKernel, recorded, report, step } from "./support.ts";

describe("deft run", () => {
  const metrics = { peft: { evaluations: { dev: evaluation } }, deft: { evaluations: { dev: evaluation } } };
  const runRecipe = (requests: RunRequest[] = []) => (request: RunRequest) => {
    requests.push(request);
    for (const reporter of request.reporters ?? []) reporter.connect({ events: of(step({ step: 1, time: 0 })), command: () => undefined });
    return Promise.resolve({ folder: "runs/a", metrics });
  };

  test.each(["run", "pretrain"])("deft %s passes everything on, and shows progress, the comparison and the folder", async (name) => {
    const requests: RunRequest[] = [];
    const { code, out } = await deft([name, "r.yaml", "--set", "seed=7", "--set", "a.b=x=y", "--backend", "cpu", "--output", "o", "--resume"], { runRecipe: runRecipe(requests) });
    expect(code).toBe(0);
    expect(requests).toMatchObject([{ file: "r.yaml", set: ["seed=7", "a.b=x=y"], backend: "cpu", output: "o", resume: true }]);
    expect(out).toMatch(/^step 1\/100 /);
    expect(out).toContain("\nstage  accuracy    loss  density %  padding in %  change %\n");
    expect(out.trimEnd().split("\n").at(-1)).toBe("results in runs/a");
  });

  test("--quiet prints one line", async () => {
    expect(await deft(["run", "r.yaml", "--quiet"], { runRecipe: runRecipe() })).toEqual({ code: 0, out: "runs/a  accuracy 0.7500  loss 0.5000  density 20.00 %\n", err: "" });
  });

  test.each([["its error", () => deftError("run.interrupted", "run: stopped. Continue.")], ["the signal's reason", (signal: AbortSignal) => signal.reason as Error]])("an interrupted run that throws %s gives 130", async (_, thrown) => {
    const runRecipe = ({ signal }: RunRequest) => {
      expect(signal!.aborted).toBe(false);
      process.emit("SIGINT");
      expect(signal!.aborted).toBe(true);
      return Promise.reject(thrown(signal!));
    };
    const { code, out, err } = await deft(["run", "r.yaml"], { runRecipe });
    expect({ code, out }).toEqual({ code: 130, out: "" });
    expect(err).toMatch(/^\nstopping after this step, .*\n(run: stopped\. Continue\.|.*aborted.*)\n$/);
    expect(process.listenerCount("SIGINT")).toBe(0);
  });

  test("an interrupt that comes too late, or meets another error, does not hide the outcome", async () => {
    const finished = () => (process.emit("SIGINT"), Promise.resolve({ folder: "runs/a", metrics: {} }));
    expect(await deft(["run", "r.yaml"], { runRecipe: finished })).toMatchObject({ code: 0, out: "results in runs/a\n" });
    const failed = () => (process.emit("SIGINT"), Promise.reject(deftError("training.nonfinite")));
    expect(await deft(["run", "r.yaml"], { runRecipe: failed })).toMatchObject({ code: 5 });
  });

  test("a second interrupt ends the process", async () => {
    const exits: number[] = [];
    const source = Object.assign(new EventEmitter(), { exit: (code: number) => exits.push(code) });
    await interruptible({
      terminal: recorded().terminal,
      source,
      work: (signal) => {
        source.emit("SIGINT");
        expect([signal.aborted, exits.length]).toEqual([true, 0]);
        source.emit("SIGTERM");
        return Promise.resolve();
      },
    });
    expect(exits).toEqual([130]);
    expect(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM")).toBe(0);
  });
});

describe("deft density", () => {
  test("prints the table, or the report as JSON", async () => {
    const requests: unknown[] = [];
    const api = { measureDensity: (request: unknown) => (requests.push(request), Promise.resolve(report)) };
    expect((await deft(["density", "m", "--data", "f.tsv", "--column", "sentence", "--max-length", "128"], api)).out).toContain("encoder 1      30.00");
    expect(JSON.parse((await deft(["density", "m", "--data", "f.tsv", "--json"], api)).out)).toEqual(report);
    expect(requests).toEqual([{ checkpoint: "m", data: "f.tsv", column: "sentence", maxLength: 128 }, { checkpoint: "m", data: "f.tsv" }]);
  });
});

describe("deft predict", () => {
  const prediction = { text: "a\nb", label: "x", probabilities: { x: 0.75, y: 0.25 } };

  test("prints a line of JSON for each text", async () => {
    const requests: PredictRequest[] = [];
    const api = {
      predictTexts: async function* (request: PredictRequest) {
        requests.push(request);
        yield await Promise.resolve(prediction);
        yield prediction;
      },
    };
    const { code, out } = await deft(["predict", "m", "--text", "a", "--text", "b", "--pair", "c", "--pair", "d", "--adapter", "l"], api);
    expect(code).toBe(0);
    expect(out).toBe(`${JSON.stringify(prediction)}\n`.repeat(2));
    await deft(["predict", "m", "--data", "f", "--column", "c", "--offline"], api);
    expect(requests).toEqual([
      { checkpoint: "m", adapter: "l", texts: [{ text: "a", pair: "c" }, { text: "b", pair: "d" }] },
      { checkpoint: "m", data: "f", column: "c", offline: true },
    ]);
  });

  test("stops when nobody reads any more", async () => {
    const at = recorded();
    let made = 0;
    const api = {
      predictTexts: async function* () {
        for (;;) {
          if (++made === 3) at.out.fail("EPIPE");
          yield await Promise.resolve(prediction);
        }
      },
    };
    expect(await deft(["predict", "m", "--text", "a"], api, at)).toMatchObject({ code: 0 });
    expect([made, at.out.lines.length]).toEqual([3, 2]);
  });

  test("another failure of a stream is kept, the first of them; what follows is dropped", () => {
    const { out, err, terminal } = recorded();
    out.fail("EPIPE");
    expect(terminal.failure).toBeUndefined();
    err.fail("ENOSPC");
    out.fail("EIO");
    terminal.note("dropped");
    expect(err.text).toBe("");
    expect(terminal.failure).toMatchObject({ name: "DeftError", code: "output.unwritable", message: expect.stringMatching(/^standard error: .*got ENOSPC\./) as string });
  });
});

test("deft export says what it wrote, and how far weights that keep their format moved", async () => {
  const requests: unknown[] = [];
  const exportCheckpoint = (request: { merge?: boolean }) => (requests.push(request), Promise.resolve(request.merge === true ? { drift: { layers: 4, max: 0.0125, rms: 0.0005 } } : {}));
  expect(await deft(["export", "m", "o", "--layout", "peft", "--name", "n"], { exportCheckpoint })).toMatchObject({ code: 0, out: "adapter in o\n" });
  expect(await deft(["export", "m", "o", "--merge", "--base", "held"], { exportCheckpoint })).toMatchObject({ code: 0, out: "merged model in o\nencoded again: 4 matrices, moved by 0.0125 at most, 5.00e-4 root mean square\n" });
  expect(requests).toEqual([{ checkpoint: "m", output: "o", layout: "peft", name: "n" }, { checkpoint: "m", output: "o", merge: true, base: "held" }]);
});

describe("deft doctor", () => {
  const backends = [{ id: "cpu", rank: 0, starts: true, status: { threads: 1 } }, { id: "native", rank: 30, starts: false, why: "not built" }];

  test("lists back-ends by rank and says which one is taken", async () => {
    const { code, out } = await deft(["doctor"], { createKernel: noKernel, backendReport: () => Promise.resolve(backends) });
    expect(code).toBe(0);
    expect(out).toMatch(/native +30 {2}no +not built\ncpu +0 {2}yes +threads 1\n\nauto takes cpu\n$/);
  });

  test("gives 7 when none starts", async () => {
    const { code, out } = await deft(["doctor", "--json"], { createKernel: noKernel, backendReport: () => Promise.resolve(backends.slice(1)) });
    expect(code).toBe(7);
    expect(JSON.parse(out)).toMatchObject({ auto: null, backends: [{ id: "native" }] });
  });
});

describe("deft plugins and deft schema", () => {
  const options = z.strictObject({ weight: z.number().default(1).describe("w"), padding: z.enum(["exclude", "include"]), at: z.union([z.number(), z.string()]).optional() });
  const create = (): never => {
    throw new Error("not made here");
  };
  const plugin = definePlugin({
    name: "p",
    version: "1.2.3",
    core: "^0.1",
    register: (registry) => {
      registry.add(LOSS_TERM, { id: "density", summary: "a term", options, create });
      registry.add(METER, { id: "density", summary: "a meter", create });
    },
  });
  const createKernel = () => Promise.resolve(new Kernel().use(plugin));

  test("lists contributions by extension point", async () => {
    const { code, out } = await deft(["plugins"], { createKernel });
    expect(code).toBe(0);
    expect(out).toContain("loss-term        density  a term   p 1.2.3\nmeter            density  a meter  p 1.2.3\n");
  });

  test("knows extension points that run brings", async () => {
    const OPTIMIZER = extensionPoint<object>("optimizer");
    const sgd = definePlugin({ name: "s", version: "1.0.0", core: "^0.1", register: (registry) => registry.add(OPTIMIZER, { id: "sgd", summary: "steps", create }) });
    const { out } = await deft(["plugins"], { createKernel: () => Promise.resolve(new Kernel().use(sgd)), OPTIMIZER } as Partial<RunApi>);
    expect(out).toContain("optimizer        sgd  steps    s 1.0.0\n");
  });

  test("lists the options of an id, and refuses an unknown one", async () => {
    const { out } = await deft(["plugins", "density"], { createKernel });
    expect(out.split("\n").map((line) => line.trimEnd())).toEqual([
      "loss-term density (p): a term",
      "option   type                   default   meaning",
      "-------  ---------------------  --------  -------",
      "weight   number                 1         w",
      'padding  "exclude" | "include"  required',
      "at       number | string",
      "",
      "meter density (p): a meter",
      "no options",
      "",
      "",
    ]);
    expect(await deft(["plugins", "lore"], { createKernel })).toMatchObject({ code: 2, err: 'error [options.usage] plugins: "lore" is not known. Known: density.\n' });
  });

  test("the schema is JSON, with the plugins that were named", async () => {
    const seen: unknown[] = [];
    const { out } = await deft(["schema", "--plugin", "./mine.js"], { createKernel: (o) => (seen.push(o.plugins), noKernel()), recipeJsonSchema: () => ({ type: "object" }) });
    expect(JSON.parse(out)).toEqual({ type: "object" });
    expect(seen).toEqual([["./mine.js"]]);
  });
});
