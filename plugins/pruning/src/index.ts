export { columnNorms, examples, unpadded, type Calibration, type LabelsOf } from "./calibration.ts";
export { masked, MaskedWeight, packMask } from "./masked-weight.ts";
export { pruneOptions, pruneSchema, type PruneOptions, type PruneSettings } from "./options.ts";
export { pruningPlugin, pruningPlugin as default } from "./plugin.ts";
export { pruneModel, type Prunable, type PrunedLayer, type PruningReport } from "./prune.ts";
export { smallestByRowSums, smallestOfGroups, smallestOfMatrix, smallestOfRows, type Removed, type Scores } from "./selection.ts";
export { prune } from "./stage.ts";
