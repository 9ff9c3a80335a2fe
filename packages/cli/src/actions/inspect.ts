import { EXIT_CODES } from "../exit-codes.ts";
import type { FolderReport, RunApi } from "../run-api.ts";
import { magnitude } from "../tables/numbers.ts";
import { printable, textTable } from "../tables/text-table.ts";
import type { Terminal } from "../terminal.ts";

/** Says what an adapter's, a model's or a run's folder is; @returns the exit code. */
export async function inspectAction({ api, terminal, folder, json = false }: { readonly api: RunApi; readonly terminal: Terminal; readonly folder: string; readonly json?: boolean | undefined }): Promise<number> {
  const reports = await api.inspectFolder(folder);
  if (json) terminal.line(JSON.stringify(reports, null, 2));
  else for (const line of reports.flatMap((report) => [...linesOf(report), ""])) terminal.line(line);
  return EXIT_CODES.ok;
}

function linesOf(report: FolderReport): string[] {
  const { kind, path, tensors, parameters, labels } = report;
  const facts = kind === "model" ? { type: report.modelType, architectures: report.architectures?.join(", ") } : adapterFacts(report);
  const shown = Object.entries({ [kind]: path, ...facts, labels: Array.isArray(labels) ? labels.join(", ") : labels, parameters: `${magnitude(parameters)} in ${tensors.length} tensors` });
  const rows = shown.filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => [name, printable(String(value))]);
  return [...textTable([{ title: "what" }, { title: "value" }], rows), "", ...textTable([{ title: "tensor" }, { title: "shape" }], tensors.map(({ name, shape }) => [printable(name), shape.join(" × ")]))];
}

function adapterFacts({ layout, method, base, head, unknownKeys = [] }: FolderReport): Record<string, string | undefined> {
  return {
    layout,
    method: method?.id ?? "none: a head alone",
    options: method === undefined ? undefined : JSON.stringify(method.options),
    base,
    head: head === undefined || head.parameters === 0 ? undefined : `${head.kind ?? "unknown"}, ${magnitude(head.parameters)} parameters`,
    "unknown keys": unknownKeys.join(", "),
  };
}
