export { reportHtmlPlugin, reportHtmlPlugin as default } from "./plugin.ts";
