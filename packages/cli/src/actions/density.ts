import { EXIT_CODES } from "../exit-codes.ts";
import type { DensityRequest, RunApi } from "../run-api.ts";
import { densityTable } from "../tables/density-table.ts";
import type { Terminal } from "../terminal.ts";

/** Measures and shows a checkpoint's density by layer; @returns the exit code. */
export async function densityAction({ api, terminal, request, json = false }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: DensityRequest; readonly json?: boolean | undefined }): Promise<number> {
  const report = await api.measureDensity(request);
  if (json) terminal.line(JSON.stringify(report, null, 2));
  else for (const line of densityTable(report)) terminal.line(line);
  return EXIT_CODES.ok;
}
