import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kernel, REPORTER, RunStream, type RunEvent } from "@deft-js/core";
import { expect, it } from "vitest";
import plugin, { htmlReport, page } from "../src/index.ts";
import { recordOf, step, training, WHOLE } from "./events.ts";

const command = (): void => undefined;
const folder = (): string => mkdtempSync(join(tmpdir(), "deft-report-"));

function streamed(events: readonly RunEvent[], stream: RunStream): void {
  for (const event of events) stream.emit(event);
}

it("writes the report when the run is over, of its history and its events, and leaves nothing else", () => {
  const at = folder();
  const stream = new RunStream();
  const undo = htmlReport().connect({ events: stream.events, command, folder: at, history: WHOLE.slice(0, 6) });
  streamed(WHOLE.slice(6), stream);
  expect(readdirSync(at)).toEqual([]);
  undo();
  expect(readFileSync(join(at, "report.html"), "utf8")).toBe(page([recordOf(WHOLE, { folder: at })]));
  expect(readdirSync(at)).toEqual(["report.html"]);
  streamed([{ type: "warning", time: 1, message: "tardy" }], stream);
  expect(readFileSync(join(at, "report.html"), "utf8")).not.toContain("tardy");
});

it("puts all runs that it is connected to into one file, once the last is over", () => {
  const file = join(folder(), "new", "both.html");
  const reporter = new Kernel().use(plugin).create(REPORTER, "html", { file, title: "Both" });
  const undos = [1, 2].map((n) => {
    const stream = new RunStream();
    const undo = reporter.connect({ events: stream.events, command, folder: `/runs/${n}` });
    streamed([training, step(n, { task: n })], stream);
    return undo;
  });
  undos[0]!();
  expect(existsSync(file)).toBe(false);
  undos[1]!();
  const text = readFileSync(file, "utf8");
  expect(text).toContain("<h1>Both</h1>");
  expect([...text.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, label]) => label)).toEqual(["Comparison", "1", "2"]);
});

it("refuses a place that cannot be written before the run, and keeps what was there until then", () => {
  const at = folder();
  writeFileSync(join(at, "file"), "kept");
  const connect = (file?: string) => htmlReport({ file }).connect({ events: new RunStream().events, command });
  expect(() => connect(join(at, "file", "report.html"))).toThrow(expect.objectContaining({ code: "report.file", message: expect.stringContaining(join(at, "file", "report.html")) as string }));
  expect(() => connect()).toThrow(expect.objectContaining({ code: "report.file" }));
  connect(join(at, "file"));
  expect(readFileSync(join(at, "file"), "utf8")).toBe("kept");
  expect(readdirSync(at)).toEqual(["file"]);
});

it("refuses unknown options", () => {
  expect(() => new Kernel().use(plugin).create(REPORTER, "html", { path: "x" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
});
