import type { Meter } from "@deft-js/core";
import { gatesOf, type Gates } from "./gates.ts";

/** The meter `gates`: each block's gate as evaluation takes it, under `layers`; an empty list where no gates are attached. */
export function gatesMeter(): Meter {
  let found: readonly Gates[] = [];
  return {
    id: "gates",
    taps: {},
    begin(model) {
      found = gatesOf(model);
      return () => undefined;
    },
    add: () => undefined,
    report: () => ({ layers: found.flatMap((gates) => gates.readings()) }),
    reset() {
      found = [];
    },
  };
}
