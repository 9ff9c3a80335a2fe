import { usageError } from "./exit-codes.ts";

/** Adds a value to those given before: for options that may be repeated. */
export function collected(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** A whole number of at least 1. Throws `options.usage`. */
export function positiveInteger(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < 1) throw usageError(`command line: the value must be a whole number of at least 1, got ${JSON.stringify(value)}. Correct it.`);
  return number;
}

/** Whole numbers of at least 1, with commas between them, without repetition. Throws `options.usage`. */
export function positiveIntegers(value: string): number[] {
  const numbers = value.split(",").map((one) => positiveInteger(one.trim()));
  if (new Set(numbers).size < numbers.length) throw usageError(`command line: the list must name each number once, got ${JSON.stringify(value)}. Correct it.`);
  return numbers;
}

/** KEY=VALUE of a recipe. Throws `options.usage`. */
export function assignments(value: string, before: readonly string[] = []): string[] {
  if (!/^[^=\s]+=/.test(value)) throw usageError(`--set: must be KEY=VALUE, got ${JSON.stringify(value)}. Write e.g. --set seed=7.`);
  return collected(value, before);
}
