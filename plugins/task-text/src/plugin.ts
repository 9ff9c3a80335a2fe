import { definePlugin, TASK, type Plugin } from "@deft-js/core";
import { textSchema, type TextOptions } from "./options.ts";
import { text } from "./text.ts";

/** Registers the task `text`. */
export const textPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-task-text",
  version: "0.1.0",
  core: "^0.1",
  provides: ["task:text"],
  register: (registry) => registry.add(TASK, { id: "text", summary: "Classification, regression or text-to-text of your own texts (CSV, TSV, JSONL, JSON, Parquet)", options: textSchema, create: (options: TextOptions) => text(options) }),
});
