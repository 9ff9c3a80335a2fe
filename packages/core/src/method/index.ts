export { configuredMethod, demandConfig, isJsonRecord, isOff, isOneOf, isTexts, keptKeys, unknownKeys, unsupportedConfig, type ConfigDemands, type ConfigRules, type LayoutConfig } from "./config.ts";
export { isPattern, patternSource, validOptions } from "./options.ts";
export { hiddenSize, isEncoderDecoder, PEFT_BASE_KEYS, peftBaseModel } from "./prompt-learning.ts";
export { fitting, loadVariables, stateError, stateOf, type StateVoice } from "./state.ts";
