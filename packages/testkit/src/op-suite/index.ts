export { opCases } from "./cases.ts";
export { checksOf, compare, type Check, type OpCase } from "./run.ts";
import { attentionChecks } from "./attention-checks.ts";
import { opCases } from "./cases.ts";
import { lateChecks } from "./late-checks.ts";
import { lossChecks } from "./loss-checks.ts";
import { checksOf, type Check } from "./run.ts";
import { sumChecks } from "./sum-checks.ts";
import { updateChecks } from "./update-checks.ts";

/** The op suite: values and gradients of every op against float64 references, on whichever back-end is active when a check runs. */
export function opSuite(): readonly Check[] {
  return [...opCases().flatMap(checksOf), ...lateChecks(), ...sumChecks(), ...lossChecks(), ...attentionChecks(), ...updateChecks()];
}
