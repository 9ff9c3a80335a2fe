import { isAbsolute } from "node:path";
import { DeftError } from "@deft-js/core";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { isObject } from "../recipe/parse.ts";

/** What a training may be given anew when it goes on: how long it is, when it looks and saves, and which state it ends in. */
const FREE = new Set(["epochs", "maxSteps", "evaluateEvery", "evaluationBatchSize", "saveEvery", "metric", "mode", "keep", "earlyStopping", "meters"]);

interface Change {
  readonly path: string;
  readonly before: unknown;
  readonly now: unknown;
}

type Content = Readonly<Record<string, unknown>>;

/**
 * Compares the recipe that a run goes on with to the one that it began with, both resolved: seed, model and the stages up to the last training must be the same,
 * since the checkpoints are theirs. Moved files are no difference that can be judged.
 * @returns warnings of files that are named otherwise
 * @throws DeftError `recipe.resume`
 */
export function sameRun(before: string, now: string): readonly string[] {
  const [old, next] = [before, now].map((text) => parse(text, { maxAliasCount: 0 }) as Content) as [Content, Content];
  const last = stagesOf(old).findLastIndex(([, options]) => isTraining(options));
  const part = (content: Content): Content => ({ seed: content["seed"], model: content["model"], stages: stagesOf(content).slice(0, last + 1).map(([id, options]) => ({ [id]: isTraining(options) ? without(options, FREE) : options })) });
  const changes = differences(part(old), part(next), "");
  const moved = changes.filter(({ before: a, now: b }) => typeof a === "string" && typeof b === "string" && isAbsolute(a) && isAbsolute(b));
  const [first] = changes.filter((change) => !moved.includes(change));
  if (first !== undefined)
    throw new DeftError("recipe.resume", `resume: ${first.path} must be what the run began with, got ${shown(first.now)} where that is ${shown(first.before)}. Begin a new run for it; the length of a training and the stages behind it may change.`);
  return moved.map(({ path, before: a, now: b }) => `resume: ${path} should be the files that the run began with, got ${String(b)} where that was ${String(a)}. Their content is not compared.`);
}

function stagesOf(content: Content): readonly (readonly [string, unknown])[] {
  const stages = Array.isArray(content["stages"]) ? (content["stages"] as unknown[]) : [];
  return stages.map((stage) => (isObject(stage) ? (Object.entries(stage)[0] ?? ["", undefined]) : [String(stage), undefined]));
}

const isTraining = (options: unknown): options is Content => isObject(options) && Object.hasOwn(options, "optimizer");

function without(options: Content, keys: ReadonlySet<string>): Content {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !keys.has(key)));
}

function differences(before: unknown, now: unknown, path: string): readonly Change[] {
  if (isDeepStrictEqual(before, now)) return [];
  if (!isContainer(before) || !isContainer(now) || Array.isArray(before) !== Array.isArray(now)) return [{ path, before, now }];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return keys.flatMap((key) => differences(before[key], now[key], path === "" ? key : `${path}.${key}`));
}

const isContainer = (value: unknown): value is Content => typeof value === "object" && value !== null;

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
