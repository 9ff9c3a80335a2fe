export { energyPlugin, energyPlugin as default } from "./plugin.ts";
