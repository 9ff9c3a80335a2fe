import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { DeftError } from "@deft-js/core";

/** A folder of the test file's own, removed at its end. */
export function temporaryFolder(): { path(...names: string[]): string } {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "deft-checkpoint-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return { path: (...names) => join(folder, ...names) };
}

/** Awaits the rejection and checks its code. */
export async function expectCode(promise: Promise<unknown>, code: string): Promise<DeftError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeftError);
  expect((error as DeftError).code, (error as DeftError).message).toBe(code);
  return error as DeftError;
}

/** The bytes of a safetensors file with the given header text (or bytes) and data. */
export function fileBytes(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0), claimed?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.byteLength + data.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(json.byteLength), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.byteLength);
  return bytes;
}

let files = 0;

/** Writes bytes under a new name. */
export async function writeBytes(folder: { path(...names: string[]): string }, bytes: Uint8Array): Promise<string> {
  files += 1;
  const path = folder.path(`file-${files}.safetensors`);
  await writeFile(path, bytes);
  return path;
}
