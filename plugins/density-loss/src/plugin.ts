import { definePlugin, LOSS_TERM, METER, type Plugin } from "@deft-js/core";
import { densityLoss } from "./density-loss.ts";
import { densityMeter, densityMeterSchema, type DensityMeterSettings } from "./density-meter.ts";
import { densityLossSchema, type DensityLossOptions } from "./options.ts";

/** Registers the loss term `density` and the meter `density`. */
export const densityPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-density-loss",
  version: "0.1.0",
  core: "^0.1",
  provides: ["loss-term:density", "meter:density"],
  register(registry) {
    registry.add(LOSS_TERM, { id: "density", summary: "The density loss a²/(a²+ε) on the MLPs' activations (arXiv:2402.01911)", options: densityLossSchema, create: (options: DensityLossOptions) => densityLoss(options as Parameters<typeof densityLoss>[0]) });
    registry.add(METER, { id: "density", summary: "Share of active neurons, exact and above thresholds, with and without padding", options: densityMeterSchema, create: (options: DensityMeterSettings) => densityMeter(options) });
  },
});
