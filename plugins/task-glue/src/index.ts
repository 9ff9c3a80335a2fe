export { GLUE, type EvaluationSplit, type GlueDefinition, type GlueMetric } from "./definitions.ts";
export { glue } from "./glue.ts";
export { GLUE_NAMES, glueSchema, type GlueName, type GlueOptions, type GlueSettings } from "./options.ts";
export { gluePlugin, gluePlugin as default } from "./plugin.ts";
