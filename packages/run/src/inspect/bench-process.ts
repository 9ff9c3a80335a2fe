/** One variant in a process of its own: takes `{ request, variant }` as its argument and sends a `BenchMessage`. */
import { DeftError } from "@deft-js/core";
import { measureVariant, type BenchSettings, type BenchVariant, type VariantMeasurement } from "./bench-variant.ts";
import type { CheckpointRequest } from "./checkpoint.ts";

/** What the process sends once. */
export type BenchMessage = { readonly measured: VariantMeasurement } | { readonly error: { readonly code?: string | undefined; readonly message: string } };

const { request, variant } = JSON.parse(process.argv[2] ?? "{}") as { request: CheckpointRequest & BenchSettings; variant: BenchVariant };

async function message(): Promise<BenchMessage> {
  try {
    return { measured: await measureVariant(request, variant) };
  } catch (error) {
    return { error: { code: error instanceof DeftError ? error.code : undefined, message: error instanceof Error ? error.message : String(error) } };
  }
}

// Back-ends may hold threads that would keep the process alive.
process.send?.(await message(), () => process.exit(0));
