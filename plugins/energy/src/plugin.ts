import { definePlugin, METER, type Plugin } from "@deft-js/core";
import { energyMeter } from "./energy-meter.ts";
import { energySchema, type EnergyOptions } from "./options.ts";

/** Registers the meter `energy`. */
export const energyPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-energy",
  version: "0.1.0",
  core: "^0.1",
  provides: ["meter:energy"],
  register(registry) {
    registry.add(METER, { id: "energy", summary: "Multiply-accumulates, bytes and estimated energy of a zero-skipping machine against a dense one", options: energySchema, create: (options: EnergyOptions) => energyMeter(options) });
  },
});
