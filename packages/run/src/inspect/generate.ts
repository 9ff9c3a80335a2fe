import { formOf, generate, generateTokens, type Artifact, type GenerationSettings, type HostBatch } from "@deft-js/core";
import { makeSplit, textGeneration } from "@deft-js/data";
import { tap, lastValueFrom } from "rxjs";
import type { Prompt } from "./prompt.ts";
import { encodedGroups, type TextSource } from "./texts.ts";

/** How a language model generates. */
export interface GenerationRequest {
  /** 64 when left out. */
  readonly maxNewTokens?: number | undefined;
  /** 1 when left out. */
  readonly beams?: number | undefined;
  /** Takes the text of a row as it grows, piece by piece; rows then come one by one. */
  readonly onText?: ((piece: string) => void) | undefined;
}

/** What a language model makes of one text. */
export interface GeneratedPrediction {
  readonly text: string;
  readonly pair?: string | undefined;
  readonly generated: string;
}

/** What `generateTexts` works on. */
interface GenerateTexts {
  readonly artifact: Artifact;
  readonly request: TextSource & GenerationRequest & { readonly batchSize?: number | undefined };
  readonly maxLength: number;
  readonly prompt?: Prompt | undefined;
}

/** Generates from each text, in order, a batch at a time. */
export async function* generateTexts({ artifact: { model, tokenizer }, request, maxLength, prompt }: GenerateTexts): AsyncGenerator<GeneratedPrediction> {
  const { maxNewTokens = 64, beams = 1, onText } = request;
  const size = onText === undefined ? (request.batchSize ?? 32) : 1;
  const form = formOf(model) === "causal" ? "prompts" : "pairs";
  const generation = textGeneration({ tokenizer, options: { maxNewTokens, beams }, score: () => ({}) }); // ends as in evaluation
  for await (const { texts, examples } of encodedGroups(request, { tokenizer, maxLength, size, prompt })) {
    const split = makeSplit({ name: "texts", examples: examples.map(({ inputIds }) => ({ inputIds, label: [] })), padId: tokenizer.padId, generation });
    for (const batch of split.batches({ batchSize: size, form })) {
      const ids = onText === undefined ? (await generate(model, batch, generation.options)).ids : [await streamed({ artifact: { model, tokenizer }, batch, options: generation.options, onText })];
      for (const [i, { text, pair }] of texts.entries()) yield { text, ...(pair === undefined ? {} : { pair }), generated: tokenizer.decode(ids[i] ?? []).trim() };
    }
  }
}

interface Streamed {
  readonly artifact: Pick<Artifact, "model" | "tokenizer">;
  readonly batch: HostBatch;
  readonly options: GenerationSettings;
  onText(piece: string): void;
}

/** One row, its text given away as it grows; whole words' pieces only come when the tokenizer can spell them. */
async function streamed({ artifact: { model, tokenizer }, batch, options, onText }: Streamed): Promise<readonly number[]> {
  const ids: number[] = [];
  let shown = "";
  const show = (id: number): void => {
    ids.push(id);
    const text = tokenizer.decode(ids);
    if (!text.startsWith(shown) || text.endsWith("\ufffd")) return;
    onText(text.slice(shown.length));
    shown = text;
  };
  await lastValueFrom(generateTokens(model, batch, options).pipe(tap(({ tokens }) => tokens.forEach(({ id }) => show(id)))), { defaultValue: undefined });
  return ids;
}
