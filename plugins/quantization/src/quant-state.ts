import { DeftError } from "@deft-js/core";
import { z } from "zod";

/** What bitsandbytes says of a 4-bit weight in PATH.weight.quant_state.bitsandbytes__TYPE: JSON as bytes. */
const schema = z.object({
  quant_type: z.enum(["nf4", "fp4"]),
  blocksize: z.number().int().min(1).max(2 ** 20),
  dtype: z.string().max(32).default("float32"),
  shape: z.tuple([z.number().int().min(0), z.number().int().min(0)]),
  nested_blocksize: z.number().int().min(1).max(2 ** 20).optional(),
  nested_dtype: z.string().max(32).optional(),
  nested_offset: z.number().optional(),
});

export type QuantState = z.output<typeof schema>;

const MAX_BYTES = 4096;

/** @throws DeftError `checkpoint.quantized` when the bytes are not such a record */
export function parseQuantState(bytes: Uint8Array, who: string): QuantState {
  const refuse = (got: string, cause?: unknown): never => {
    throw new DeftError("checkpoint.quantized", `${who}: must describe a 4-bit weight, got ${got}. Write the checkpoint again.`, { cause });
  };
  if (bytes.length > MAX_BYTES) return refuse(`${bytes.length} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    return refuse((cause as Error).message, cause);
  }
  const result = schema.safeParse(json);
  return result.success ? result.data : refuse(result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
}

/** The record as bytes; keys in bitsandbytes' order. */
export function formatQuantState(state: QuantState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(state));
}
