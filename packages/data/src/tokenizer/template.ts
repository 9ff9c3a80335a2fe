import { isObject, malformed, type Json } from "./json.ts";

/** One part of an encoded text: special tokens, or the place of text A or B. */
export type TemplatePart =
  | { readonly kind: "special"; readonly ids: readonly number[]; readonly typeId: number }
  | { readonly kind: "text"; readonly of: "A" | "B"; readonly typeId: number };

/** How single texts and pairs are framed by special tokens. */
export interface Template {
  readonly single: readonly TemplatePart[];
  readonly pair: readonly TemplatePart[];
}

const A: TemplatePart = { kind: "text", of: "A", typeId: 0 };

/** Without a post-processor: the texts bare, the second one of type 1. */
const BARE: Template = { single: [A], pair: [A, { kind: "text", of: "B", typeId: 1 }] };

/**
 * The template of a tokenizer.json's post-processor: `[CLS] A [SEP] B [SEP]` with types 0 0 0 1 1 for BERT, `<s> A </s></s> B </s>` with types 0 for
 * RoBERTa, what TemplateProcessing says (T5: `A </s> B </s>`).
 * Source: the post-processors of Hugging Face tokenizers (BertProcessing, RobertaProcessing, TemplateProcessing).
 * @throws DeftError `tokenizer.malformed`
 */
export function templateOf(processor: Json | null): Template {
  if (processor === null) return BARE;
  switch (processor["type"]) {
    case "ByteLevel":
      return BARE;
    case "Sequence":
      return templateOfSequence(processor["processors"]);
    case "BertProcessing":
      return bertTemplate(processor);
    case "RobertaProcessing":
      return robertaTemplate(processor);
    case "TemplateProcessing":
      return { single: templateParts(processor, "single"), pair: templateParts(processor, "pair") };
    default:
      throw malformed("`post_processor.type` must be BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel or a Sequence of them", processor["type"]);
  }
}

function templateOfSequence(processors: unknown): Template {
  const framing = (Array.isArray(processors) ? (processors as Json[]) : []).filter((processor) => processor["type"] !== "ByteLevel");
  if (framing.length > 1) throw malformed("a Sequence of post-processors may hold one that adds tokens", framing.map((p) => p["type"]));
  return templateOf(framing[0] ?? null);
}

function bertTemplate(processor: Json): Template {
  const cls = special(namedId(processor, "cls"), 0);
  const sep = namedId(processor, "sep");
  const single = [cls, A, special(sep, 0)];
  return { single, pair: [...single, { kind: "text", of: "B", typeId: 1 }, special(sep, 1)] };
}

function robertaTemplate(processor: Json): Template {
  const cls = special(namedId(processor, "cls"), 0);
  const sep = special(namedId(processor, "sep"), 0);
  const single = [cls, A, sep];
  return { single, pair: [...single, sep, { kind: "text", of: "B", typeId: 0 }, sep] };
}

function special(id: number, typeId: number): TemplatePart {
  return { kind: "special", ids: [id], typeId };
}

/** The id of `"cls": ["[CLS]", 101]`. */
function namedId(processor: Json, key: string): number {
  const entry = processor[key];
  const id: unknown = Array.isArray(entry) ? entry[1] : undefined;
  if (!isId(id)) throw malformed(`\`post_processor.${key}\` must be [token, id]`, entry);
  return id;
}

function templateParts(processor: Json, form: "single" | "pair"): TemplatePart[] {
  const items = processor[form];
  if (!Array.isArray(items) || items.length > 64) throw malformed(`\`post_processor.${form}\` must be a list of at most 64`, items);
  const parts = items.map((item: unknown) => templatePart(processor, item));
  const texts = parts.flatMap((part) => (part.kind === "text" ? [part.of] : [])).join("");
  if (texts !== (form === "single" ? "A" : "AB") && !(form === "pair" && texts === "BA")) throw malformed(`\`post_processor.${form}\` must name every text once`, items);
  return parts;
}

function templatePart(processor: Json, item: unknown): TemplatePart {
  const [kind, part] = isObject(item) ? (Object.entries(item)[0] ?? []) : [];
  if (!isObject(part)) throw malformed("a part of the post-processor's template must be a SpecialToken or a Sequence", item);
  const typeId = part["type_id"] ?? 0;
  if (!isId(typeId)) throw malformed("a part's type_id must be a whole number", item);
  if (kind === "Sequence" && (part["id"] === "A" || part["id"] === "B")) return { kind: "text", of: part["id"], typeId };
  const known = processor["special_tokens"];
  const entry = isObject(known) && typeof part["id"] === "string" && Object.hasOwn(known, part["id"]) ? known[part["id"]] : undefined;
  const ids = isObject(entry) ? entry["ids"] : undefined;
  if (kind !== "SpecialToken" || !Array.isArray(ids) || !ids.every(isId)) throw malformed("a part of the post-processor's template must be text A or B or one of its special_tokens", item);
  return { kind: "special", ids, typeId };
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

/** How many special tokens a form adds. */
export function specialCount(parts: readonly TemplatePart[]): number {
  return parts.reduce((count, part) => count + (part.kind === "special" ? part.ids.length : 0), 0);
}
