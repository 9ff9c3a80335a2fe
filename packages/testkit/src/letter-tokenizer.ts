import type { Tokenizer } from "@deft-js/core";

const [PAD, EOS, FIRST] = [0, 1, 2] as const;

/** A tokenizer whose ids are letters (code units + 2), with padding 0 and the end token 1 behind every text: for tests of tasks that generate. */
export const letterTokenizer: Tokenizer = {
  padId: PAD,
  vocabularySize: 2 ** 16 + FIRST,
  special: (role) => ({ pad: PAD, eos: EOS })[role as string],
  ids: lettersOf,
  decode: (ids) => ids.filter((id) => id >= FIRST).map((id) => String.fromCharCode(id - FIRST)).join(""),
  encode(text, pair = "", maxLength) {
    const inputIds = [...lettersOf(text + pair).slice(0, maxLength - 1), EOS];
    return { inputIds, tokenTypeIds: inputIds.map(() => 0) };
  },
};

function lettersOf(text: string): number[] {
  return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) + FIRST);
}
