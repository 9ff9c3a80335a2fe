export { taskSquadPlugin, taskSquadPlugin as default } from "./plugin.ts";
