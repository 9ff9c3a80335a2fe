import { DeftError } from "@deft-js/tensor";
import type { PeftMethod } from "../contracts/method.ts";

/** A library's configuration: plain JSON. */
export type LayoutConfig = Readonly<Record<string, unknown>>;

/** What keys of a configuration must be where they are there: everything else would change the arithmetic. */
export type ConfigDemands = Readonly<Record<string, (value: unknown) => boolean>>;

/** How a method's reader takes a configuration. */
export interface ConfigRules {
  /** The method's id: errors begin with it and have the code `ID.config`. */
  readonly who: string;
  readonly demands: ConfigDemands;
  /** Keys that become options of the method, or that its writer knows anyway: not kept. */
  readonly read: readonly string[];
  /** Further keys whose meaning is known and without effect on what a trained adapter computes: kept silently. */
  readonly free: readonly string[];
}

/** Accepts what leaves a switch off: null, false, an empty list or object. */
export function isOff(value: unknown): boolean {
  return value === null || value === false || (typeof value === "object" && Object.keys(value).length === 0);
}

/** Accepts these values alone. */
export function isOneOf(...values: readonly unknown[]): (value: unknown) => boolean {
  const accepted = new Set(values.map((value) => JSON.stringify(value)));
  return (value) => accepted.has(JSON.stringify(value));
}

/** Whether a value is an object of JSON. */
export function isJsonRecord(value: unknown): value is LayoutConfig {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list of texts. */
export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Checks a configuration. @throws DeftError `WHO.config` that names the first key that asks for another arithmetic */
export function demandConfig(config: LayoutConfig, { who, demands }: Pick<ConfigRules, "who" | "demands">): void {
  for (const [key, accepts] of Object.entries(demands))
    if (key in config && !accepts(config[key])) throw unsupportedConfig(who, `${key} must be left at its default, got ${JSON.stringify(config[key])}`);
}

/** The keys that are carried along and written back as they were. */
export function keptKeys(config: LayoutConfig, { read }: Pick<ConfigRules, "read">): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !read.includes(key)));
}

/** The keys that the rules do not know: from a newer library, or misspelt. */
export function unknownKeys(config: LayoutConfig, { demands, read, free }: ConfigRules): readonly string[] {
  return Object.keys(config).filter((key) => !(key in demands) && !read.includes(key) && !free.includes(key));
}

/** A method made from a configuration's values. @throws DeftError `WHO.config` when they are no usable options */
export function configuredMethod(who: string, make: () => PeftMethod): PeftMethod {
  try {
    return make();
  } catch (cause) {
    throw new DeftError(`${who}.config`, `${who}: adapter_config.json must hold usable options, got: ${(cause as Error).message}`, { cause });
  }
}

/** The error for a configuration that asks for something that the method does not compute. */
export function unsupportedConfig(who: string, rule: string): DeftError {
  return new DeftError(`${who}.config`, `${who}: ${rule} in adapter_config.json. This variant is not supported; merge it in the library that wrote it and load the merged model.`);
}
