import { definePlugin, TASK, type Plugin } from "@deft-js/core";
import { glue } from "./glue.ts";
import { glueSchema, type GlueOptions } from "./options.ts";

/** Registers the task `glue`. */
export const gluePlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-task-glue",
  version: "0.1.0",
  core: "^0.1",
  provides: ["task:glue"],
  register: (registry) => registry.add(TASK, { id: "glue", summary: "The nine GLUE tasks from local TSV, JSONL or Parquet files", options: glueSchema, create: (options: GlueOptions) => glue(options) }),
});
