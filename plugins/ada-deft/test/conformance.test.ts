import { Kernel, PEFT_METHOD } from "@deft-js/core";
import { peftMethodChecks } from "@deft-js/testkit";
import { describe, it } from "vitest";
import plugin, { gates, type GatesSettings } from "../src/index.ts";
import { SMALL } from "./models.ts";

const STRATEGIES: readonly GatesSettings[] = [{ strategy: "scalar" }, { strategy: "sigmoid", start: 0.6, temperature: { from: 2, to: 1 } }, { strategy: "hard-concrete", start: 0.5, beta: 0.9 }];

const [contribution] = new Kernel().use(plugin).contributions(PEFT_METHOD);

for (const [name, { batch, build }] of Object.entries(SMALL))
  for (const settings of STRATEGIES)
    describe(`${settings.strategy} gates on ${name}`, () => {
      for (const check of peftMethodChecks({ contribution, method: () => gates(settings), model: () => build(), batch, identityAtStart: false, merges: false })) it(check.name, check.run);
    });
