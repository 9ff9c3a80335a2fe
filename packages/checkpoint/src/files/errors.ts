import { DeftError } from "@deft-js/core";

/** A file system error as a DeftError: `checkpoint.missing` when there is no such file, `checkpoint.unreadable` otherwise; DeftErrors pass. */
export function unreadable(path: string, cause: unknown): DeftError {
  if (cause instanceof DeftError) return cause;
  const code = errorCode(cause);
  return code === "ENOENT" || code === "ENOTDIR"
    ? new DeftError("checkpoint.missing", `${path}: must exist, got no such file. Check the path.`, { cause })
    : new DeftError("checkpoint.unreadable", `${path}: must be a readable file, got ${code ?? String(cause)}. Check its permissions.`, { cause });
}

/** The `code` of a Node error (`ENOENT`, …), where it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
