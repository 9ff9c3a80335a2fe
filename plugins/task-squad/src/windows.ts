import { DeftError, type Tokenizer } from "@deft-js/core";
import { targetIds } from "@deft-js/data";
import type { SquadOptions } from "./options.ts";
import type { Question } from "./questions.ts";

/** A question with a part of its context, encoded. */
export interface Window {
  /** The question's place in its list. */
  readonly question: number;
  readonly inputIds: readonly number[];
  /** The answer's ids where the window holds it; the end token alone where not. */
  readonly label: readonly number[];
  readonly holdsAnswer: boolean;
}

type Sizes = Pick<SquadOptions, "maxLength" | "stride" | "maxQuestionLength" | "maxAnswerLength">;

/** Special ids around a text. */
interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * `question: Q context: C` for every window of a question's context: as many context tokens as fit into `maxLength`, the next window beginning
 * `stride` before the last one's end. A window holds the answer when all of its tokens are there; the answer is the first of the right ones.
 * @throws DeftError `task.stride` when no context fits beside the question
 */
export function windowsOf(questions: readonly Question[], tokenizer: Tokenizer, sizes: Sizes): Window[] {
  const contexts = new Map<string, readonly number[]>();
  const frame = frameOf(tokenizer);
  return questions.flatMap((question, index) => {
    const context = contexts.get(question.context) ?? tokenizer.ids(` ${question.context}`);
    contexts.set(question.context, context);
    return questionWindows({ question, index, context, frame, tokenizer, sizes });
  });
}

interface Plan {
  readonly question: Question;
  readonly index: number;
  readonly context: readonly number[];
  readonly frame: Frame;
  readonly tokenizer: Tokenizer;
  readonly sizes: Sizes;
}

function questionWindows({ question, index, context, frame, tokenizer, sizes }: Plan): Window[] {
  const { maxLength, stride, maxQuestionLength, maxAnswerLength } = sizes;
  const asked = [...tokenizer.ids(`question: ${question.question}`).slice(0, maxQuestionLength), ...tokenizer.ids(" context:")];
  const room = maxLength - frame.before.length - frame.after.length - asked.length;
  if (room <= stride) throw new DeftError("task.stride", `squad: windows must be longer than the stride of ${stride} tokens beside the question, got ${room} at ${question.file}, question ${question.id}. Raise maxLength or lower stride.`);
  const span = answerSpan(question, tokenizer);
  const answer = question.answers[0]?.text ?? "";
  const windows: Window[] = [];
  for (let from = 0; windows.length === 0 || from + stride < context.length; from += room - stride) {
    const to = Math.min(context.length, from + room);
    const holdsAnswer = span !== undefined && span.from >= from && span.to <= to;
    const label = targetIds(holdsAnswer ? answer : "", { tokenizer, maxTargetLength: maxAnswerLength });
    windows.push({ question: index, inputIds: [...frame.before, ...asked, ...context.slice(from, to), ...frame.after], label, holdsAnswer });
  }
  return windows;
}

/** Which tokens of the context the first right answer takes, counted by the tokens of the text before it: to one token where it begins inside a word. */
function answerSpan({ context, answers: [first] }: Question, tokenizer: Tokenizer): { from: number; to: number } | undefined {
  if (first === undefined) return undefined;
  const before = context.slice(0, first.start).trimEnd();
  return { from: before === "" ? 0 : tokenizer.ids(` ${before}`).length, to: tokenizer.ids(` ${context.slice(0, first.start + first.text.length)}`).length };
}

/** What the tokenizer puts around a text. */
function frameOf(tokenizer: Tokenizer): Frame {
  const bare = tokenizer.ids("question");
  const { inputIds } = tokenizer.encode("question", undefined, bare.length + 16);
  const start = inputIds.findIndex((_, i) => bare.every((id, j) => inputIds[i + j] === id));
  return { before: inputIds.slice(0, Math.max(0, start)), after: inputIds.slice(Math.max(0, start) + bare.length) };
}
