import { definePlugin, LOSS_TERM, METER, PEFT_METHOD, STAGE, type Plugin } from "@deft-js/core";
import { gatedDensity } from "./gated-density.ts";
import { gates } from "./gates.ts";
import { gatesMeter } from "./meter.ts";
import { gatedDensitySchema, gateSchema, gatesSchema, type GatedDensitySettings, type GateSettings, type GatesSettings } from "./options.ts";
import { gate } from "./stage.ts";

/** Registers the method `gates`, the loss term `gated-density`, the meter `gates` and the stage `gate`. */
export const adaDeftPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-ada-deft",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:gates", "loss-term:gated-density", "meter:gates", "stage:gate"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "gates", summary: "A learned weight for each MLP block, by which it may fade and be skipped (ADA-DEFT)", options: gatesSchema, create: (options: GatesSettings) => gates(options) });
    registry.add(LOSS_TERM, { id: "gated-density", summary: "The density loss with each block weighted by its gate", options: gatedDensitySchema, create: (options: GatedDensitySettings) => gatedDensity(options) });
    registry.add(METER, { id: "gates", summary: "The gates of the MLP blocks", create: () => gatesMeter() });
    registry.add(STAGE, { id: "gate", summary: "Turns gates into a plan of MLP blocks to skip, by a threshold or a budget", options: gateSchema, create: (options: GateSettings) => gate(options) });
  },
});
