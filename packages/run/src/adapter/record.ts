import { DeftError, type HeadKind } from "@deft-js/core";
import { z } from "zod";
import { HEADS } from "../recipe/schema.ts";

/** The tensor file of the `deft` layout, and the head's where the layout has no place for it. */
export const STATE_FILE = "adapter_deft.safetensors";
export const HEAD_FILE = "head_deft.safetensors";
export const RECORD_FILE = "deft.json";

const described = z.object({ id: z.string(), options: z.record(z.string(), z.unknown()) });

const schema = z.object({
  format: z.literal(1),
  layout: z.enum(["peft", "adapterhub", "deft"]),
  name: z.string().regex(/^[\w.-]{1,64}$/),
  method: described.optional(),
  base: z.string().optional(),
  fingerprint: z.base64().optional(),
  weights: described.optional(),
  formats: z.array(described).optional(),
  head: z.object({ kind: z.enum(HEADS), tensors: z.array(z.string()).max(64) }),
  labels: z.array(z.string()).default([]),
  task: z.record(z.string(), z.unknown()).optional(),
  losses: z.array(z.unknown()).optional(),
  metrics: z.unknown().optional(),
});

/** A weight format as deft.json names it. */
export interface RecordedFormat {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** deft.json: what other libraries' layouts cannot hold. Unknown keys are passed over. */
export interface AdapterRecord {
  readonly format: 1;
  readonly layout: "peft" | "adapterhub" | "deft";
  /** The adapter's name in the tensors' names. */
  readonly name: string;
  /** The method and its options; absent when the head alone was trained. */
  readonly method?: { readonly id: string; readonly options: Readonly<Record<string, unknown>> } | undefined;
  /** Where the base model lay. */
  readonly base?: string | undefined;
  /** Of the base model's values: see `fingerprint`. */
  readonly fingerprint?: string | undefined;
  /** The format of the base's linear layers that the adapter was trained over, where that is not dense and loading can make it again. */
  readonly weights?: RecordedFormat | undefined;
  /** Instead of `weights`: the formats that loading cannot make again, a mask or several together. The adapter fits no base but one that is held in them. */
  readonly formats?: readonly RecordedFormat[] | undefined;
  readonly head: { readonly kind: HeadKind; /** Hugging Face names of the head's tensors. */ readonly tensors: readonly string[] };
  /** Names of the classes by index. */
  readonly labels: readonly string[];
  readonly task?: Readonly<Record<string, unknown>> | undefined;
  /** The terms beside the task's loss, as in recipes: density settings among them. */
  readonly losses?: readonly unknown[] | undefined;
  readonly metrics?: unknown;
}

/** The layouts that an adapter can be written in. */
export type AdapterLayoutId = AdapterRecord["layout"];

/** Checks deft.json. Throws `checkpoint.config`. */
export function adapterRecord(json: unknown, who: string): AdapterRecord {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new DeftError("checkpoint.config", `${who}: must be a record of deft-js, got ${issues}. Save the adapter again.`);
}
