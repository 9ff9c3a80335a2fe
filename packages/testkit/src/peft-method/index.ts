import type { Check } from "../check.ts";
import { behaviourChecks } from "./behaviour.ts";
import { layoutChecks } from "./layouts.ts";
import { lifecycleChecks } from "./lifecycle.ts";
import type { PeftMethodSubject } from "./subject.ts";

/** The contract of `PeftMethod` and `Attachment` as checks; run each with the tests' own `it`. */
export function peftMethodChecks(subject: PeftMethodSubject): readonly Check[] {
  return [...behaviourChecks(subject), ...lifecycleChecks(subject), ...layoutChecks(subject)];
}
