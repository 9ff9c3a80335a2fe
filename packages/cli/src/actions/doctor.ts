import { availableParallelism, cpus, totalmem } from "node:os";
import { EXIT_CODES } from "../exit-codes.ts";
import type { BackendReport, RunApi } from "../run-api.ts";
import { textTable } from "../tables/text-table.ts";
import type { Terminal } from "../terminal.ts";

/** Shows the machine and which back-ends start on it; @returns 0, or 7 when none starts. */
export async function doctorAction({ api, terminal, json = false }: { readonly api: RunApi; readonly terminal: Terminal; readonly json?: boolean | undefined }): Promise<number> {
  const kernel = await api.createKernel({ from: process.cwd() });
  const backends = [...(await api.backendReport(kernel))].sort((a, b) => b.rank - a.rank);
  const auto = backends.find(({ starts }) => starts)?.id;
  const machine = { node: process.version, platform: `${process.platform}-${process.arch}`, processor: cpus()[0]?.model.trim() ?? "unknown", threads: availableParallelism(), memoryGiB: Math.round(totalmem() / 2 ** 30) };
  if (json) terminal.line(JSON.stringify({ machine, backends, auto: auto ?? null }, null, 2));
  else for (const line of [...machineLines(machine), "", ...backendLines(backends), "", auto === undefined ? "no back-end starts" : `auto takes ${auto}`]) terminal.line(line);
  return auto === undefined ? EXIT_CODES.backend : EXIT_CODES.ok;
}

function machineLines({ node, platform, processor, threads, memoryGiB }: { readonly node: string; readonly platform: string; readonly processor: string; readonly threads: number; readonly memoryGiB: number }): string[] {
  return [`Node.js ${node} on ${platform}`, `${processor}, ${threads} threads, ${memoryGiB} GiB`];
}

function backendLines(backends: readonly BackendReport[]): string[] {
  const columns = [{ title: "back-end" }, { title: "rank", align: "right" as const }, { title: "starts" }, { title: "what it says" }];
  return textTable(columns, backends.map(({ id, rank, starts, why, status = {} }) => [id, String(rank), starts ? "yes" : "no", starts ? Object.entries(status).map(([key, value]) => `${key} ${value}`).join(", ") : (why ?? "")]));
}
