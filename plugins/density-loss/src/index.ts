export { densityLoss } from "./density-loss.ts";
export { DensityMeter, densityMeter, densityMeterSchema, type DensityMeterSettings, type DensityReport, type DensityShares, type LayerDensityReport } from "./density-meter.ts";
export { densityLossSchema, type DensityLossOptions, type DensityLossSettings } from "./options.ts";
export { densityPlugin, densityPlugin as default } from "./plugin.ts";
export { valueAt, type Schedule, type ScheduleSettings } from "./schedule.ts";
