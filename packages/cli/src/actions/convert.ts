import { EXIT_CODES } from "../exit-codes.ts";
import type { ConvertRequest, ExportRequest, RunApi } from "../run-api.ts";
import type { Terminal } from "../terminal.ts";

/** Writes an adapter folder in another library's layout; @returns the exit code. */
export async function convertAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: ConvertRequest }): Promise<number> {
  await api.convertAdapter(request);
  terminal.line(`${request.layout} adapter in ${request.output}`);
  return EXIT_CODES.ok;
}

/** Writes a checkpoint's adapter, or the whole model with the adapter folded in; @returns the exit code. */
export async function exportAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: ExportRequest }): Promise<number> {
  await api.exportCheckpoint(request);
  terminal.line(`${request.merge === true ? "merged model" : "adapter"} in ${request.output}`);
  return EXIT_CODES.ok;
}
