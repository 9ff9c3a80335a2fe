import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadTokenizer, tokenizerFromJson } from "../src/index.ts";
import { temporaryFolder } from "./support/folder.ts";
import { bertJson, robertaJson, sharedFile, t5Json } from "./support/tokenizers.ts";

const folder = temporaryFolder();

interface BertJson {
  readonly model: { readonly vocab: object };
}

describe("BERT's framing", () => {
  const tokenizer = tokenizerFromJson(bertJson());

  it("puts [CLS] and [SEP] around a text, with types 0", () => {
    expect(tokenizer.encode("The good films.", undefined, 16)).toEqual({ inputIds: [2, 14, 9, 11, 12, 13, 3], tokenTypeIds: [0, 0, 0, 0, 0, 0, 0] });
  });

  it("gives the second text of a pair and its [SEP] type 1", () => {
    expect(tokenizer.encode("good", "bad film", 16)).toEqual({ inputIds: [2, 9, 3, 10, 11, 3], tokenTypeIds: [0, 0, 0, 1, 1, 1] });
  });

  it("keeps the [SEP] of an empty second text", () => {
    expect(tokenizer.encode("good", "", 16)).toEqual({ inputIds: [2, 9, 3, 3], tokenTypeIds: [0, 0, 0, 1] });
  });

  it("splits words into pieces and gives [UNK] for what has none", () => {
    expect(tokenizer.encode("unknown zebra", undefined, 16).inputIds).toEqual([2, 15, 16, 1, 3]);
  });

  it("cuts the longer text of a pair first, then both", () => {
    expect(tokenizer.encode("a b", "a b c d good", 8).inputIds).toEqual([2, 5, 6, 3, 5, 6, 7, 3]);
    expect(tokenizer.encode("a b c d", "a b c d", 8).inputIds).toEqual([2, 5, 6, 3, 5, 6, 7, 3]);
    expect(tokenizer.encode("a b c d good", "a b c d", 8).inputIds).toEqual([2, 5, 6, 7, 3, 5, 6, 3]);
  });

  it("knows its special tokens, its size and the way back", () => {
    expect(["mask", "cls", "sep", "pad", "unk"].map((role) => tokenizer.special(role as "mask"))).toEqual([4, 2, 3, 0, 1]);
    expect(tokenizer.padId).toBe(0);
    expect(tokenizer.vocabularySize).toBe(17);
    expect(tokenizer.decode([2, 14, 9, 11, 12, 13, 3])).toBe("the good films.");
    expect(tokenizer.decode([])).toBe("");
  });

  it("refuses a maxLength without room for text", () => {
    expect(() => tokenizer.encode("a", "b", 3)).toThrow(expect.objectContaining({ code: "tokenizer.maxLength" }));
    expect(() => tokenizer.encode("a", undefined, 2.5)).toThrow(/2\.5/);
  });
});

it("frames RoBERTa's pairs as <s> A </s></s> B </s>, all of type 0", () => {
  const tokenizer = tokenizerFromJson(robertaJson());
  expect(tokenizer.encode("ab ab", undefined, 16).inputIds).toEqual([0, 9, 10, 2]);
  expect(tokenizer.encode("ab", "c ab", 16)).toEqual({ inputIds: [0, 9, 2, 2, 7, 10, 2], tokenTypeIds: [0, 0, 0, 0, 0, 0, 0] });
  expect(tokenizer.padId).toBe(1);
});

it("frames T5's texts with </s> at the end", () => {
  const tokenizer = tokenizerFromJson(t5Json());
  expect(tokenizer.encode("the  films", undefined, 16).inputIds).toEqual([4, 5, 6, 1]);
  expect(tokenizer.encode("the", "film", 16).inputIds).toEqual([4, 1, 5, 1]);
  expect(tokenizer.encode("zzz", undefined, 16).inputIds).toEqual([3, 2, 1]);
  expect(tokenizer.special("cls")).toBeUndefined();
});

it("gives byte-level tokenizers without framing bare texts, the second of type 1", () => {
  const tokenizer = tokenizerFromJson({ ...robertaJson(), post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }] } });
  expect(tokenizer.encode("a", "b", 8)).toEqual({ inputIds: [5, 6], tokenTypeIds: [0, 1] });
});

it("takes the padding token's name from the configuration", () => {
  expect(tokenizerFromJson(bertJson(), { config: { pad_token: { content: "[MASK]" } } }).padId).toBe(4);
  expect(() => tokenizerFromJson(robertaJson(), { config: { pad_token: "[nothing]" } })).toThrow(/padding token/);
});

describe("the length of a pair", () => {
  it("is never above maxLength, and neither text loses tokens while the other is longer", () => {
    const tokenizer = tokenizerFromJson(bertJson());
    const words = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 }).map((list) => list.join(" "));
    fc.assert(
      fc.property(words, words, fc.integer({ min: 4, max: 20 }), (a, b, maxLength) => {
        const { inputIds, tokenTypeIds } = tokenizer.encode(a, b, maxLength);
        const [n, m] = [a, b].map((text) => text.split(" ").filter((word) => word !== "").length) as [number, number];
        const keptA = tokenTypeIds.filter((type) => type === 0).length - 2;
        const keptB = tokenTypeIds.filter((type) => type === 1).length - 1;
        expect(inputIds.length).toBe(Math.min(maxLength, n + m + 3));
        if (keptA < n) expect(keptA).toBeGreaterThanOrEqual(keptB - 1);
        if (keptB < m) expect(keptB).toBeGreaterThanOrEqual(keptA - 1);
      }),
    );
  });
});

describe("an untrusted tokenizer.json", () => {
  const broken = (change: (json: BertJson) => void): Record<string, unknown> => {
    const json = structuredClone(bertJson());
    change(json as unknown as BertJson);
    return json;
  };
  const cases: [string, unknown][] = [
    ["no object", []],
    ["no model", { added_tokens: [] }],
    ["an unknown model", broken((json) => Object.assign(json.model, { type: "Legacy" }))],
    ["an id beyond the bound", broken((json) => Object.assign(json.model.vocab, { huge: 2 ** 31 }))],
    ["an id used twice", broken((json) => Object.assign(json.model.vocab, { twin: 5 }))],
    ["a negative id", broken((json) => Object.assign(json.model.vocab, { below: -1 }))],
    ["an unknown token outside the vocabulary", broken((json) => Object.assign(json.model, { unk_token: "?" }))],
    ["an unknown normalizer", broken((json) => Object.assign(json, { normalizer: { type: "Nothing" } }))],
    ["a special id outside the vocabulary", broken((json) => Object.assign(json, { post_processor: { type: "BertProcessing", cls: ["x", 99], sep: ["y", 3] } }))],
    ["a template without text", broken((json) => Object.assign(json, { post_processor: { type: "TemplateProcessing", single: [], pair: [] } }))],
    ["a pattern of a megabyte", broken((json) => Object.assign(json, { pre_tokenizer: { type: "Split", pattern: { Regex: "x".repeat(2 ** 20) } } }))],
    ["nesting without end", broken((json) => Object.assign(json, { normalizer: Array.from({ length: 5000 }).reduce((inner) => ({ type: "Sequence", normalizers: [inner] }), { type: "NFC" }) }))],
    ["a merge of three", { ...robertaJson(), model: { ...(robertaJson()["model"] as object), merges: ["a b c"] } }],
    ["bytes for unknown signs", { ...t5Json(), model: { ...(t5Json() as { model: object }).model, byte_fallback: true } }],
    ["a piece without score", { ...t5Json(), model: { type: "Unigram", unk_id: 0, vocab: [["a"]] } }],
    ["an unk_id outside the vocabulary", { ...t5Json(), model: { type: "Unigram", unk_id: 7, vocab: [["a", 0]] } }],
  ];
  it.each(cases)("with %s is refused", (_, json) => {
    expect(() => tokenizerFromJson(json)).toThrow(expect.objectContaining({ code: "tokenizer.malformed" }));
  });

  it("of any content either loads or is refused with the code", () => {
    fc.assert(
      fc.property(fc.constantFrom("model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"), fc.jsonValue({ maxDepth: 3 }), (key, value) => {
        try {
          tokenizerFromJson({ ...bertJson(), [key]: value });
        } catch (error) {
          expect(error).toMatchObject({ code: "tokenizer.malformed" });
        }
      }),
    );
  });
});

it("refuses a word of more pieces than its library can take", () => {
  expect(() => tokenizerFromJson(t5Json()).encode("ab".repeat(400_000), undefined, 8)).toThrow(expect.objectContaining({ code: "tokenizer.length" }));
});

describe("loadTokenizer", () => {
  it("reads a folder or a file, and names what is wrong with the file's path", async () => {
    const file = folder.write("tokenizer.json", JSON.stringify(bertJson()));
    expect((await loadTokenizer(folder.path)).encode("a", undefined, 8)).toEqual((await loadTokenizer(file)).encode("a", undefined, 8));
    const broken = folder.write("broken.json", "{");
    await expect(loadTokenizer(broken)).rejects.toMatchObject({ code: "tokenizer.malformed", message: expect.stringContaining("broken.json") as string });
    await expect(loadTokenizer(folder.write("empty.json", "{}"))).rejects.toThrow(/empty\.json.*model/);
    await expect(loadTokenizer(`${folder.path}/none`)).rejects.toMatchObject({ code: "tokenizer.missing" });
  });
});

const bert = sharedFile("bert-uncased.tokenizer.json");
const t5 = sharedFile("t5.tokenizer.json");

describe.skipIf(bert === undefined || t5 === undefined)("real tokenizers (skipped where ../shared/data is absent)", () => {
  it("give the ids of Hugging Face's documentation", async () => {
    expect((await loadTokenizer(bert as string)).encode("Hello, my dog is cute", undefined, 128).inputIds).toEqual([101, 7592, 1010, 2026, 3899, 2003, 10140, 102]);
    expect((await loadTokenizer(t5 as string)).encode("translate English to German: The house is wonderful.", undefined, 128).inputIds).toEqual([13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5, 1]);
  });

  it.each([bert, t5])("give the same ids whether words are remembered or not: %s", async (file) => {
    const { readFile } = await import("node:fs/promises");
    const json = JSON.parse(await readFile(file as string, "utf8")) as { added_tokens: object[] };
    const remembering = tokenizerFromJson(json);
    const plain = tokenizerFromJson({ ...json, added_tokens: [...json.added_tokens, { id: 5, content: "never said so", special: true }] });
    const text = fc.array(fc.oneof(fc.string({ unit: "grapheme", maxLength: 6 }), fc.constantFrom("film", "don't", "…", "ﬁ", "[SEP]", "</s>", "<unk>", "\t", "Ünïted", "中文")), { maxLength: 8 });
    fc.assert(
      fc.property(text, (words) => {
        const joined = words.join(" ");
        expect(remembering.encode(joined, undefined, 256)).toEqual(plain.encode(joined, undefined, 256));
      }),
    );
  });
});
