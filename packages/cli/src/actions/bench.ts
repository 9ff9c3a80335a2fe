import { open, rm, writeFile } from "node:fs/promises";
import { EXIT_CODES, usageError } from "../exit-codes.ts";
import type { BenchRequest, RunApi } from "../run-api.ts";
import { benchTable } from "../tables/bench-table.ts";
import type { Terminal } from "../terminal.ts";

/** Times a checkpoint's variants, shows them, and writes the rows to a file where one is named; what it held before stays when measuring fails. Throws `options.usage` when it cannot be written. @returns the exit code */
export async function benchAction({ api, terminal, request, file }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: BenchRequest; readonly file?: string | undefined }): Promise<number> {
  if (file !== undefined) await writable(file, () => probe(file)); // before minutes of measuring, not after
  const report = await api.benchCheckpoint(request);
  for (const line of benchTable(report)) terminal.line(line);
  for (const [variant, table] of Object.entries(report.profiles)) terminal.line(`\n${variant}, one forward pass of batch ${request.batches?.[0] ?? 1}\n${table}`);
  if (file !== undefined) await writable(file, () => writeFile(file, `${JSON.stringify(report.rows, null, 2)}\n`));
  return EXIT_CODES.ok;
}

/** Opens a file for writing and leaves all as it was. */
async function probe(file: string): Promise<void> {
  const created = await open(file, "ax").catch((error: NodeJS.ErrnoException) => (error.code === "EEXIST" ? undefined : Promise.reject(error)));
  await (created ?? (await open(file, "a"))).close();
  if (created !== undefined) await rm(file);
}

async function writable(file: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw usageError(`bench: --json must be a file that can be written, got ${file}: ${(cause as Error).message}. Correct it.`);
  }
}
