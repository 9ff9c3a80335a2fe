export { AdapterSet } from "./adapter-set.ts";
export { configuredMethod, demandConfig, isJsonRecord, isOff, isOneOf, isTexts, keptKeys, unknownKeys, unsupportedConfig, type ConfigDemands, type ConfigRules, type LayoutConfig } from "./config.ts";
export { readPlaces, writePlaces, type LayoutPlace } from "./layout.ts";
export { changeVariable, replaceMatrix } from "./merge.ts";
export { isPattern, patternSource, validOptions } from "./options.ts";
export { hiddenSize, isEncoderDecoder, PEFT_BASE_KEYS, peftBaseModel } from "./prompt-learning.ts";
export { fitting, loadVariables, stateError, stateOf, type StateVoice } from "./state.ts";
export { QUERY_AND_VALUE, areExactly, peftModules, peftPattern, targetLinears } from "./targets.ts";
