import { DeftError } from "@deft-js/core";
import { readJsonFile } from "@deft-js/data";
import { z } from "zod";

/** A question with its paragraph and its right answers. */
export interface Question {
  readonly id: string;
  readonly question: string;
  readonly context: string;
  /** Empty where the paragraph does not answer it. */
  readonly answers: readonly Answer[];
  readonly file: string;
  /** Its number in the file, from 1. */
  readonly line: number;
}

/** An answer, and where it stands in the context (UTF-16 code units). */
export interface Answer {
  readonly text: string;
  readonly start: number;
}

/** What one article asks. */
export type Article = readonly Question[];

const answer = z.object({ text: z.string(), answer_start: z.int().min(0) });
const question = z.object({ id: z.union([z.string(), z.int()]), question: z.string().regex(/\S/, "must hold a question"), answers: z.array(answer).default([]), is_impossible: z.boolean().default(false) });
const paragraph = z.object({ context: z.string().regex(/\S/, "must hold a text"), qas: z.array(question) });
const schema = z.object({ data: z.array(z.object({ paragraphs: z.array(paragraph) })) });

/**
 * The articles of a file in SQuAD's format (Rajpurkar et al., 2016, arXiv:1606.05250; 2018, arXiv:1806.03822): `data[].paragraphs[].qas[]`. Questions
 * that are marked `is_impossible` have no answer, whatever `plausible_answers` say; in version 1.1 all have one.
 * @throws DeftError `data.file` for what is no JSON, `data.row` with file and path for what breaks the format, `task.empty` without a question
 */
export async function readArticles(file: string): Promise<Article[]> {
  const result = schema.safeParse(await readJsonFile(file));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw malformed(file, issue?.path.join(".") ?? "", issue?.message ?? "it does not");
  }
  let line = 0;
  const articles = result.data.data.map(({ paragraphs }, a) =>
    paragraphs.flatMap(({ context, qas }, p) =>
      qas.map(({ id, question: asked, answers, is_impossible }, q): Question => {
        const path = `data.${a}.paragraphs.${p}.qas.${q}`;
        const right = is_impossible ? [] : answers.map(({ text, answer_start }): Answer => ({ text, start: codeUnits(context, answer_start) }));
        if (!is_impossible) checkAnswers(right, { context, file, path });
        return { id: String(id), question: asked.trim(), context, answers: right, file, line: ++line };
      }),
    ),
  );
  if (line === 0) throw new DeftError("task.empty", `squad: ${file} must hold questions, got none. Check the file.`);
  return articles.filter(({ length }) => length > 0);
}

/** Where the first so many code points of a text end, in UTF-16 code units: the format counts as Python does. */
function codeUnits(text: string, codePoints: number): number {
  let at = 0;
  for (let left = codePoints; left > 0 && at < text.length; left--) at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
  return at;
}

function checkAnswers(answers: readonly Answer[], { context, file, path }: { context: string; file: string; path: string }): void {
  if (answers.length === 0) throw malformed(file, `${path}.answers`, "there is no answer, and the question is not marked is_impossible");
  const lost = answers.findIndex(({ text, start }) => text.trim() === "" || !context.startsWith(text, start));
  if (lost >= 0) throw malformed(file, `${path}.answers.${lost}`, "the context does not hold the answer's text at answer_start, counted in Unicode code points");
}

function malformed(file: string, path: string, what: string): DeftError {
  return new DeftError("data.row", `${file}: ${path || "the file"} must be in SQuAD's format, got: ${what}. Correct the file; predictions files and other datasets' JSON will not do.`);
}
