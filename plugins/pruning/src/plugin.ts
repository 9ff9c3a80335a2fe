import { definePlugin, STAGE, type Plugin } from "@deft-js/core";
import { pruneSchema, type PruneSettings } from "./options.ts";
import { prune } from "./stage.ts";

/** Registers the stage `prune`. */
export const pruningPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-pruning",
  version: "0.1.0",
  core: "^0.1",
  provides: ["stage:prune"],
  register(registry) {
    registry.add(STAGE, { id: "prune", summary: "Removes weights by magnitude or WANDA (arXiv:2306.11695)", options: pruneSchema, create: (options: PruneSettings) => prune(options) });
  },
});
