import type { Check } from "../check.ts";
import { forwardChecks } from "./forward.ts";
import { siteChecks } from "./sites.ts";
import type { ModelFamilySubject } from "./subject.ts";

/** The contract of `ModelFamily` and `Model` as checks; run each with the tests' own `it`. */
export function modelFamilyChecks(subject: ModelFamilySubject): readonly Check[] {
  return [...forwardChecks(subject), ...siteChecks(subject)];
}
