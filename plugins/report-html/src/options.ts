import { z } from "zod";

/** The schema of the reporter's options. */
export const htmlReportSchema = z.strictObject({
  file: z.string().min(1).optional().describe("the file; report.html in the run's folder when left out"),
  title: z.string().min(1).optional().describe("the page's title"),
});

/** Options of the reporter `html`. */
export type HtmlReportSettings = z.input<typeof htmlReportSchema>;
