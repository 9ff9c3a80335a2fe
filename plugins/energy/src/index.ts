export { EnergyMeter, energyMeter } from "./energy-meter.ts";
export { energySchema, HOROWITZ_2014, type EnergyConstants, type EnergyOptions } from "./options.ts";
export { energyPlugin, energyPlugin as default } from "./plugin.ts";
export type { Compared, ComparedOperations, EnergyReport, LayerEnergy, LinearEnergy } from "./report.ts";
