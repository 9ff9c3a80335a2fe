import { DeftError } from "@deft-js/core";

/** A file system error as a DeftError: `checkpoint.missing` when there is no such file, `checkpoint.unreadable` otherwise; DeftErrors pass. */
export function unreadable(path: string, cause: unknown): DeftError {
  if (cause instanceof DeftError) return cause;
  const code = errorCode(cause);
  return code === "ENOENT" || code === "ENOTDIR"
    ? new DeftError("checkpoint.missing", `${path}: must exist, got no such file. Check the path.`, { cause })
    : new DeftError("checkpoint.unreadable", `${path}: must be a readable file, got ${code ?? String(cause)}. Check its permissions.`, { cause });
}

/**
 * What went wrong while a file or folder was written, to be thrown: `checkpoint.unwritable` for a refusal (`isRefusal`),
 * which of a folder's files it met left out; anything else as it is.
 */
export function unwritable(path: string, error: unknown): unknown {
  const cause = error instanceof DeftError && error.code === "checkpoint.unwritable" ? error.cause : error;
  if (!isRefusal(cause)) return error;
  return new DeftError("checkpoint.unwritable", `${path}: must be a place that can be written, got ${cause.message}. Make room, correct its permissions, or name another.`, { cause });
}

/** Whether this is a refusal of the operating system: no permission, no space, a file where a folder should be. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && "syscall" in error;
}

/** The `code` of a Node error (`ENOENT`, …), where it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
