import { definePlugin, TASK, type Plugin } from "@deft-js/core";
import { squadSchema, type SquadOptions } from "./options.ts";
import { squad } from "./squad.ts";

/** Registers the task `squad`. */
export const squadPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-task-squad",
  version: "0.1.0",
  core: "^0.1",
  provides: ["task:squad"],
  register: (registry) => registry.add(TASK, { id: "squad", summary: "SQuAD 1.1 and 2.0 from local JSON, as text-to-text", options: squadSchema, create: (options: SquadOptions) => squad(options) }),
});
