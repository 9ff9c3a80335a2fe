import { DeftError, type Contribution, type ExtensionPoint, type Kernel } from "@deft-js/core";
import { z } from "zod";

/** One contribution by its id, with its options: `{ lora: { rank: 8 } }`. */
export type Choice = Readonly<Record<string, unknown>>;

/** A choice as the schema lets it through: absent keys may be there as undefined. */
type Choices = z.ZodType<Choice, Choice>;

/**
 * The schema of a choice among an extension point's contributions: a strict object with one key for each id, of which exactly
 * one must be there. It carries `extensionPoint`, by which errors tell an unknown plugin from an unknown option.
 */
export function choice<T>(kernel: Kernel, point: ExtensionPoint<T>): Choices {
  const entries = kernel.contributions(point).map((contribution) => [contribution.id, optionsOf(contribution).optional()] as const);
  const oneOf = (value: Choice): boolean => Object.values(value).filter((options) => options !== undefined).length === 1;
  const schema = z.strictObject(Object.fromEntries(entries)).refine(oneOf, "must name exactly one");
  return schema.meta({ extensionPoint: point.name, minProperties: 1, maxProperties: 1 }) as unknown as Choices;
}

function optionsOf<T>(contribution: Contribution<T>): z.ZodType {
  const described = contribution.options ?? z.strictObject({});
  return described.meta({ ...described.meta(), description: contribution.summary });
}

/** The id and the options of a choice. */
export function chosen(made: Choice): readonly [id: string, options: unknown] {
  const found = Object.entries(made).find(([, options]) => options !== undefined);
  if (found === undefined) throw new DeftError("recipe.invalid", "recipe: a choice must name one contribution, got none. Name one.");
  return found;
}

/** Makes what a choice names. Throws `plugin.unknown`, `options.invalid`. */
export function makeChosen<T>(kernel: Kernel, point: ExtensionPoint<T>, made: Choice): T {
  const [id, options] = chosen(made);
  return kernel.create(point, id, options);
}
