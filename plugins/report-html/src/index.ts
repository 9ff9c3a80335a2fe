export { htmlReport } from "./reporter.ts";
export { htmlReportSchema, type HtmlReportSettings } from "./options.ts";
export { page } from "./page.ts";
export { reportHtmlPlugin, reportHtmlPlugin as default } from "./plugin.ts";
export { RunRecorder, type RunRecord, type StageRecord } from "./record/record.ts";
