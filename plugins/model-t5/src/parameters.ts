import type { ParameterSpec } from "@deft-js/core";
import type { T5Config } from "./config.ts";

/** The two halves of the model. */
export type StackName = "encoder" | "decoder";

/** The word embeddings, which both stacks and a tied head read. */
export const SHARED = "shared.weight";
/** The table of an untied head, [vocabulary, dModel]. */
export const HEAD = "lm_head.weight";

/** The path of a stack's relative position bias, [buckets, heads]: block 0 has it for all. */
export const relativeBiasName = (stack: StackName): string => `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;

/** All parameters in the order of the Hugging Face state dict; initial values as transformers' `T5PreTrainedModel` draws them. */
export function t5Specs(config: T5Config, headed: boolean): ParameterSpec[] {
  const { vocabSize, dModel, initializerFactor, tied } = config;
  const table = (name: string, aliases: readonly string[] = []): ParameterSpec => ({ name, shape: [vocabSize, dModel], initial: { normal: initializerFactor }, aliases });
  const embeddings = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
  return [
    table(SHARED, tied ? [...embeddings, HEAD] : embeddings),
    ...stackSpecs(config, "encoder", config.encoderLayers),
    ...stackSpecs(config, "decoder", config.decoderLayers),
    ...(headed && !tied ? [table(HEAD)] : []),
  ];
}

/** What a checkpoint may hold besides: a head that is not asked for, and a bias of old files that cross-attention never reads. */
export function ignoredNames(headed: boolean): RegExp[] {
  const unused = [/^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/];
  return headed ? unused : [...unused, /^lm_head\.weight$/];
}

function stackSpecs(config: T5Config, stack: StackName, layers: number): ParameterSpec[] {
  const blocks = Array.from({ length: layers }, (_, i) => blockSpecs(config, stack, i));
  return [...blocks.flat(), norm(`${stack}.final_layer_norm`, config)];
}

function blockSpecs(config: T5Config, stack: StackName, block: number): ParameterSpec[] {
  const path = `${stack}.block.${block}.layer`;
  const sublayer = (at: number, specs: ParameterSpec[]): ParameterSpec[] => [...specs, norm(`${path}.${at}.layer_norm`, config)];
  const cross = stack === "decoder" ? sublayer(1, attentionSpecs(config, `${path}.1.EncDecAttention`)) : [];
  const last = stack === "decoder" ? 2 : 1;
  return [
    ...sublayer(0, [...attentionSpecs(config, `${path}.0.SelfAttention`), ...(block === 0 ? [relativeBias(config, stack)] : [])]),
    ...cross,
    ...sublayer(last, feedForwardSpecs(config, `${path}.${last}.DenseReluDense`)),
  ];
}

function attentionSpecs({ dModel: d, dKv, heads, initializerFactor: f }: T5Config, path: string): ParameterSpec[] {
  const inner = heads * dKv;
  return [
    matrix(`${path}.q`, d, inner, f / Math.sqrt(d * dKv)),
    matrix(`${path}.k`, d, inner, f / Math.sqrt(d)),
    matrix(`${path}.v`, d, inner, f / Math.sqrt(d)),
    matrix(`${path}.o`, inner, d, f / Math.sqrt(inner)),
  ];
}

function feedForwardSpecs({ dModel: d, dFf, gated, initializerFactor: f }: T5Config, path: string): ParameterSpec[] {
  const up = gated ? ["wi_0", "wi_1"] : ["wi"];
  return [...up.map((name) => matrix(`${path}.${name}`, d, dFf, f / Math.sqrt(d))), matrix(`${path}.wo`, dFf, d, f / Math.sqrt(dFf))];
}

function relativeBias({ buckets, heads, dModel, initializerFactor }: T5Config, stack: StackName): ParameterSpec {
  return { name: relativeBiasName(stack), shape: [buckets, heads], initial: { normal: initializerFactor / Math.sqrt(dModel) } };
}

const matrix = (path: string, dIn: number, dOut: number, deviation: number): ParameterSpec => ({ name: `${path}.weight`, shape: [dOut, dIn], matrix: true, initial: { normal: deviation } });

const norm = (path: string, { dModel }: T5Config): ParameterSpec => ({ name: `${path}.weight`, shape: [dModel], initial: "ones" });
