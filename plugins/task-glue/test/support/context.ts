import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ops, type Split, type TaskContext, type Tokenizer } from "@deft-js/core";
import { afterAll } from "vitest";

/** A tokenizer whose ids are the words' lengths: 1 WORDS 2, and 2 PAIR 2 with type 1. */
const tokenizer: Tokenizer = {
  padId: 0,
  vocabularySize: 100,
  special: () => undefined,
  decode: () => "",
  ids: (text) => [...text].map((_, i) => i),
  encode(text, pair, maxLength) {
    const lengths = (words: string): number[] => words.split(" ").filter((word) => word !== "").map((word) => word.length);
    const first = [1, ...lengths(text), 2];
    const second = pair === undefined ? [] : [...lengths(pair), 2];
    return { inputIds: [...first, ...second].slice(0, maxLength), tokenTypeIds: [...first.map(() => 0), ...second.map(() => 1)].slice(0, maxLength) };
  },
};

export const context: TaskContext = { tokenizer, rng: new ops.Rng(1) };

/** A temporary folder, removed after the tests; gives a writer that makes folders as needed and returns the file's path. */
export function temporaryFolder(): { readonly path: string; write(name: string, content: string | ArrayBuffer): string } {
  const path = mkdtempSync(join(tmpdir(), "deft-task-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === "string" ? content : new Uint8Array(content));
      return file;
    },
  };
}

/** The rows of a split: ids without padding, and the label or score. */
export function rowsOf(split: Split): [number[], number][] {
  return [...split.batches({ batchSize: 1 })].map((batch) => [[...batch.inputIds], (batch.labels ?? batch.scores)?.[0] as number]);
}
