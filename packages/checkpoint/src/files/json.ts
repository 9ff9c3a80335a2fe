import { readFile, stat } from "node:fs/promises";
import { DeftError } from "@deft-js/core";
import { unreadable } from "./errors.ts";

/** A JSON object: what every configuration file holds. */
export type JsonObject = Record<string, unknown>;

/** What is being parsed, for messages, and the code that its errors carry. */
export interface JsonSubject {
  /** Names the input in messages: a path, usually. */
  readonly who: string;
  /** The code of the errors. */
  readonly code: string;
}

/** Limits of a JSON file. */
export interface JsonFileOptions {
  readonly code: string;
  /** Largest size in bytes; 4 MiB when left out. */
  readonly maxBytes?: number;
}

const MAX_DEPTH = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Parses UTF-8 bytes as one JSON object, strictly.
 * @throws DeftError with the subject's code on bytes that are not UTF-8 or not JSON, on a value that is not an object, on a key that
 * stands twice in one object, and on more than 64 levels.
 */
export function parseJsonObject(bytes: Uint8Array, subject: JsonSubject): JsonObject {
  const text = decodeUtf8(bytes, subject);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DeftError(subject.code, `${subject.who}: must be JSON, got ${shown(text)}. Fetch or write the file again.`, { cause });
  }
  if (!isJsonObject(value)) {
    throw new DeftError(subject.code, `${subject.who}: must be a JSON object, got ${shown(text)}. Fetch or write the file again.`);
  }
  refuseDuplicateKeys(text, subject);
  return value;
}

/**
 * Reads a file that holds one JSON object.
 * @throws DeftError as `parseJsonObject`, on a file larger than `maxBytes`, and `checkpoint.missing` or `checkpoint.unreadable` on a file
 * that cannot be read.
 */
export async function readJsonObject(path: string, { code, maxBytes = 4 * 1024 * 1024 }: JsonFileOptions): Promise<JsonObject> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new DeftError(code, `${path}: may have ${maxBytes} bytes at most, got ${size}. Is it the right file?`);
    }
    bytes = await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return parseJsonObject(bytes, { who: path, code });
}

/**
 * Writes a plain value as indented JSON with a newline at its end.
 * @throws DeftError `checkpoint.json` on what JSON would change in silence: NaN, infinities, functions, typed arrays, class instances.
 */
export function formatJson(value: unknown, who: string): string {
  requirePlain(value, who);
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** True for a plain or parsed object that is neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws DeftError `checkpoint.json` when JSON cannot hold the value as it is. Undefined properties are left out, as JSON does. */
export function requirePlain(value: unknown, who: string): void {
  const found = findForeign(value, 0);
  if (found) {
    throw new DeftError("checkpoint.json", `${who}${found.at}: must be plain JSON, got ${found.got}. Numbers must be finite; arrays of numbers go in as tensors.`);
  }
}

interface Foreign {
  /** The way to it, as one writes it in code. */
  readonly at: string;
  readonly got: string;
}

function findForeign(value: unknown, depth: number): Foreign | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return undefined;
  if (depth === MAX_DEPTH) return { at: "", got: `more than ${MAX_DEPTH} levels` };
  if (Array.isArray(value)) return findIn(value.entries(), { depth, shown: (index) => `[${index}]` });
  if (!isJsonObject(value) || !isPlain(value)) return { at: "", got: describe(value) };
  const held = Object.entries(value).filter(([, item]) => item !== undefined);
  return findIn(held, { depth, shown: (key) => `.${key}` });
}

function findIn<K>(items: Iterable<[K, unknown]>, { depth, shown: name }: { depth: number; shown: (key: K) => string }): Foreign | undefined {
  for (const [key, item] of items) {
    const found = findForeign(item, depth + 1);
    if (found) return { at: name(key) + found.at, got: found.got };
  }
  return undefined;
}

function describe(value: unknown): string {
  return isJsonObject(value) ? (value.constructor?.name ?? "an object") : String(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function decodeUtf8(bytes: Uint8Array, { who, code }: JsonSubject): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new DeftError(code, `${who}: must be UTF-8, got other bytes. Fetch or write the file again.`, { cause });
  }
}

/** Walks over text that is known to be JSON and looks at the keys, which `JSON.parse` overwrites in silence. */
function refuseDuplicateKeys(text: string, { who, code }: JsonSubject): void {
  const open: Set<string>[] = [];
  let string = "";
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        string = text.slice(at, end);
        at = end - 1;
        break;
      }
      case 0x7b: // {
      case 0x5b: // [
        open.push(new Set());
        if (open.length > MAX_DEPTH) throw new DeftError(code, `${who}: may nest ${MAX_DEPTH} levels at most, got more. Is it the right file?`);
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        break;
      case 0x3a: { // :
        const key = JSON.parse(string) as string;
        const keys = open.at(-1);
        if (keys?.has(key)) throw new DeftError(code, `${who}: keys must be unique, got ${shown(string)} twice. Remove one of the two.`);
        keys?.add(key);
        break;
      }
    }
  }
}

/** The index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let unit = text.charCodeAt(at); unit !== QUOTE; unit = text.charCodeAt(at)) at += unit === BACKSLASH ? 2 : 1;
  return at + 1;
}

function shown(text: string): string {
  return text.length > 60 ? `${JSON.stringify(text.slice(0, 60))}…` : JSON.stringify(text);
}
