import { DeftError } from "@deft-js/tensor";
import type { Model } from "../contracts/model.ts";
import type { Site } from "../contracts/site.ts";
import { isTexts, unsupportedConfig } from "./config.ts";

/** Query and value projections, as BERT, RoBERTa, T5 (self- and cross-attention) and OPT call them. */
export const QUERY_AND_VALUE = String.raw`\.(?:query|value|q|v|q_proj|v_proj)$`;

/** The linear layers whose path matches. @throws DeftError `WHO.target` when there are none */
export function targetLinears(model: Model, target: string, who: string): readonly Site<"linear">[] {
  const sites = model.sites("linear", new RegExp(target));
  if (sites.length > 0) return sites;
  const known = new Set(model.sites("linear").map(({ path }) => path.replaceAll(/\.\d+\./g, ".*.")));
  throw new DeftError(`${who}.target`, `${who}: target must match a linear layer, got /${target}/. Known: ${[...known].join(", ") || "none"}.`);
}

/** Whether `chosen` are exactly those linear layers of the model that `rule` accepts. */
export function areExactly(model: Model, chosen: readonly string[], rule: (path: string) => boolean): boolean {
  const accepted = model.sites("linear").filter(({ path }) => rule(path));
  return accepted.length === chosen.length && accepted.every(({ path }) => chosen.includes(path));
}

/** HF PEFT's list of modules for linear layers: the last parts of their paths where they say exactly which are meant, whole paths otherwise. */
export function peftModules(model: Model, paths: readonly string[]): string[] {
  const last = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
  const suffixes = [...new Set(paths.map(last))].sort();
  return areExactly(model, paths, (path) => suffixes.includes(last(path))) ? suffixes : [...paths];
}

/**
 * The pattern that HF PEFT's module names stand for: a list matches whole paths and their ends, a text the whole path.
 * @throws DeftError `WHO.config` for `all-linear` and for what is neither
 */
export function peftPattern(modules: unknown, { who, key }: { readonly who: string; readonly key: string }): string {
  if (isTexts(modules) && modules.length > 0) return String.raw`(?:^|\.)(?:${modules.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join("|")})$`;
  if (typeof modules === "string" && modules !== "all-linear") return `^(?:${modules})$`;
  throw unsupportedConfig(who, `${key} must be a list of names or a pattern, got ${JSON.stringify(modules)}`);
}
