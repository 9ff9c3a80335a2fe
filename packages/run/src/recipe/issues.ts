import { DeftError } from "@deft-js/core";
import { z } from "zod";
import { packageHint } from "../kernel/packages.ts";

type Issue = z.core.$ZodIssue;
type Node = Record<string, unknown>;

/**
 * What is wrong with a recipe, in words: every unknown key is named with the known ones beside it.
 * @returns `plugin.unknown` when a choice names what no plugin brings, `recipe.invalid` otherwise
 */
export function recipeError(who: string, schema: z.ZodType, error: z.ZodError): DeftError {
  const root = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Node;
  const issues = error.issues.flatMap((issue) => flattened(issue, []));
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const point = nodeAt(root, root, issue.path)?.["extensionPoint"];
    if (typeof point === "string") return unknownPlugin(who, point, issue, knownKeys(root, issue.path));
  }
  const told = issues.slice(0, 8).map((issue) => inWords(root, issue));
  return new DeftError("recipe.invalid", `${who}: must fit the recipe's schema, got ${told.join("; ")}. Correct it; \`deft schema\` prints the schema.`);
}

function unknownPlugin(who: string, point: string, issue: Extract<Issue, { code: "unrecognized_keys" }>, known: readonly string[]): DeftError {
  const id = issue.keys[0] ?? "";
  const hint = packageHint(point, id);
  return new DeftError("plugin.unknown", `${who}: ${dotted(issue.path)} must be a known ${point}, got ${JSON.stringify(id)}. Known: ${known.join(", ") || "none"}; ${hint}.`);
}

function inWords(root: Node, issue: Issue): string {
  const at = dotted(issue.path);
  if (issue.code !== "unrecognized_keys") return `${at}: ${issue.message}`;
  return `the unknown option ${issue.keys.join(", ")} at ${at} (known: ${knownKeys(root, issue.path).join(", ") || "none"})`;
}

/** Issues of a union's most fitting branch in the place of the union's own. */
function flattened(issue: Issue, before: readonly PropertyKey[]): Issue[] {
  const path = [...before, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ ...issue, path } as Issue];
  const fits = (branch: readonly Issue[]): boolean => !branch.some((part) => part.path.length === 0 && (part.code === "invalid_type" || part.code === "invalid_value"));
  const branch = issue.errors.find(fits);
  return branch === undefined ? [{ ...issue, path, message: issue.errors.flat().map((part) => part.message).join(", or ") } as unknown as Issue] : branch.flatMap((part) => flattened(part, path));
}

function dotted(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "the top" : path.map(String).join(".");
}

function knownKeys(root: Node, path: readonly PropertyKey[]): readonly string[] {
  return Object.keys((nodeAt(root, root, path)?.["properties"] as Node | undefined) ?? {});
}

/** The JSON Schema node of a path; branches of a union are tried in turn. */
function nodeAt(root: Node, node: Node, path: readonly PropertyKey[]): Node | undefined {
  const target = node["$ref"];
  if (typeof target === "string") return nodeAt(root, definition(root, target), path);
  for (const branch of (node["anyOf"] ?? node["oneOf"] ?? []) as Node[]) {
    const found = nodeAt(root, branch, path);
    if (found?.["properties"] !== undefined) return found;
  }
  const [first, ...rest] = path;
  if (first === undefined) return node;
  const next = typeof first === "number" ? (node["items"] as Node | undefined) : ((node["properties"] as Node | undefined)?.[String(first)] as Node | undefined);
  return next === undefined ? undefined : nodeAt(root, next, rest);
}

function definition(root: Node, ref: string): Node {
  return ((root["$defs"] as Node | undefined)?.[ref.replace(/^#\/\$defs\//, "")] as Node | undefined) ?? {};
}
