import { EXIT_CODES } from "../exit-codes.ts";
import type { ReportRequest, RunApi } from "../run-api.ts";
import type { Terminal } from "../terminal.ts";

/** Writes a report about finished runs and says where; @returns the exit code */
export async function reportAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: ReportRequest }): Promise<number> {
  terminal.line(`report in ${await api.reportRuns(request)}`);
  return EXIT_CODES.ok;
}
