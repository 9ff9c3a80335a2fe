import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DeftError, type Reporter } from "@deft-js/core";
import type { HtmlReportSettings } from "./options.ts";
import { page } from "./page.ts";
import { RunRecorder } from "./record/record.ts";

/**
 * The reporter `html`: writes one self-contained HTML file about the runs that it is connected to, when the last of them is over, whatever its end. Where
 * several runs are connected they stand side by side. Sends no commands.
 * @throws DeftError `report.file`, on connecting, when there is neither a file nor a run's folder, or when the file cannot be written
 */
export function htmlReport({ file, title }: HtmlReportSettings = {}): Reporter {
  const recorders: RunRecorder[] = [];
  let open = 0;
  return {
    id: "html",
    connect(run) {
      const path = pathOf(file, run.folder);
      checkWritable(path);
      const recorder = new RunRecorder(run);
      recorders.push(recorder);
      open++;
      for (const event of run.history ?? []) recorder.add(event);
      const subscription = run.events.subscribe((event) => recorder.add(event));
      return () => {
        subscription.unsubscribe();
        if (--open === 0) replace(path, page(recorders.map((one) => one.record()), { title }));
      };
    },
  };
}

function pathOf(file: string | undefined, folder: string | undefined): string {
  if (file === undefined && folder === undefined) throw new DeftError("report.file", "html report: needs a file or a run with a folder, got neither. Give the option file.");
  return file === undefined ? join(folder as string, "report.html") : resolve(file);
}

/** Found out before the run rather than after it. */
function checkWritable(path: string): void {
  attempt(path, () => mkdirSync(dirname(path), { recursive: true }));
  replaceable(path);
}

/** Writes beside the file and renames, so that a report is there as a whole or as it was. */
function replace(path: string, text: string): void {
  const beside = `${path}.${process.pid}.tmp`;
  attempt(path, () => {
    writeFileSync(beside, text);
    renameSync(beside, path);
  }, () => rmSync(beside, { force: true }));
}

function replaceable(path: string): void {
  const beside = `${path}.${process.pid}.tmp`;
  attempt(path, () => writeFileSync(beside, ""), () => undefined);
  rmSync(beside, { force: true });
}

function attempt(path: string, work: () => unknown, undo: () => void = () => undefined): void {
  try {
    work();
  } catch (cause) {
    undo();
    throw new DeftError("report.file", `html report: file must be one that can be written, got ${path}: ${(cause as Error).message}. Name another.`, { cause });
  }
}
