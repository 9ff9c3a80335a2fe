import { EXIT_CODES, usageError } from "../exit-codes.ts";
import type { ConvertRequest, ExportRequest, RunApi } from "../run-api.ts";
import { short } from "../tables/numbers.ts";
import type { Terminal } from "../terminal.ts";

/** Writes an adapter folder in another library's layout; @returns the exit code. */
export async function convertAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: ConvertRequest }): Promise<number> {
  await api.convertAdapter(request);
  terminal.line(`${request.layout} adapter in ${request.output}`);
  return EXIT_CODES.ok;
}

/** Of `deft export`: `--base` goes with `--merge`, what names an adapter's layout without. Throws `options.usage`. */
export function requireExportOptions({ merge = false, base, layout, name }: Pick<ExportRequest, "merge" | "base" | "layout" | "name">): void {
  if (!merge && base !== undefined) throw usageError(`export: --base goes with --merge, got ${base} without it. Leave it out, or merge.`);
  for (const [option, value] of Object.entries({ layout, name }))
    if (merge && value !== undefined) throw usageError(`export: --${option} is an adapter's, got ${value} with --merge. Leave one of them out.`);
}

/** Writes a checkpoint's adapter, or the whole model with the adapter folded in, and says how far that moved weights which keep their format; @returns the exit code */
export async function exportAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: ExportRequest }): Promise<number> {
  const { drift } = await api.exportCheckpoint(request);
  terminal.line(`${request.merge === true ? "merged model" : "adapter"} in ${request.output}`);
  if (drift !== undefined) terminal.line(`encoded again: ${drift.layers} matrices, moved by ${short(drift.max)} at most, ${short(drift.rms)} root mean square`);
  return EXIT_CODES.ok;
}
