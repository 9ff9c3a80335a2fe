import type { Check } from "../src/index.ts";
import { ConformanceError } from "../src/index.ts";

/** The names of the checks that fail, with what they say; an error that is not a check's own says so. */
export async function failures(checks: readonly Check[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { name, run } of checks)
    try {
      await run();
    } catch (error) {
      found.set(name, error instanceof ConformanceError ? error.message : `not a demand of the suite: ${String(error)}`);
    }
  return found;
}
