export { gatedDensity } from "./gated-density.ts";
export { gates, Gates, gatesOf, type GateReading } from "./gates.ts";
export { gatesMeter } from "./meter.ts";
export { gatedDensitySchema, gateSchema, gatesSchema, type GatedDensitySettings, type GateOptions, type GateSettings, type GatesOptions, type GatesSettings, type SkippedBlock } from "./options.ts";
export { adaDeftPlugin, adaDeftPlugin as default } from "./plugin.ts";
export { gate } from "./stage.ts";
export { gateStrategy, type GateStrategy } from "./strategy.ts";
