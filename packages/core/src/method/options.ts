import { DeftError } from "@deft-js/tensor";
import type { ZodType } from "zod";

/** Options that a schema accepts, with its defaults. @throws DeftError `options.invalid`, which names every issue */
export function validOptions<T>(schema: ZodType<T>, options: unknown, voice: { readonly who: string; readonly remedy?: string | undefined }): T {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `${voice.who}: options must fit the schema, got ${issues}. ${voice.remedy ?? "Correct them."}`);
}

/** The source of a pattern given as text or as a regular expression. @throws DeftError `options.invalid` for one with flags */
export function patternSource(pattern: string | RegExp, voice: { readonly who: string; readonly name: string }): string {
  if (typeof pattern === "string") return pattern;
  if (pattern.flags !== "") throw new DeftError("options.invalid", `${voice.who}: ${voice.name} must be a regular expression without flags, got ${pattern}. Write it without, e.g. [Qq]uery.`);
  return pattern.source;
}

/** Whether a text is a regular expression: for a schema's `refine`. */
export function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}
