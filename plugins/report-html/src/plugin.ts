import { definePlugin, REPORTER, type Plugin } from "@deft-js/core";
import { htmlReportSchema, type HtmlReportSettings } from "./options.ts";
import { htmlReport } from "./reporter.ts";

/** Registers the reporter `html`. */
export const reportHtmlPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-report-html",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["reporter:html"],
  register(registry) {
    registry.add(REPORTER, { id: "html", summary: "One self-contained HTML file about the run", options: htmlReportSchema, create: (options: HtmlReportSettings) => htmlReport(options) });
  },
});
