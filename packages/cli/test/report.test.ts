import { expect, test } from "vitest";
import type { ReportRequest } from "../src/index.ts";
import { deft } from "./support.ts";

test("deft report passes folders and file on, and says where the report is", async () => {
  const requests: ReportRequest[] = [];
  const reportRuns = (request: ReportRequest) => (requests.push(request), Promise.resolve("/at/report.html"));
  expect(await deft(["report", "runs/a", "runs/b", "--out", "x.html"], { reportRuns })).toEqual({ code: 0, out: "report in /at/report.html\n", err: "" });
  await deft(["report", "runs/a"], { reportRuns });
  expect(requests).toEqual([{ folders: ["runs/a", "runs/b"], file: "x.html" }, { folders: ["runs/a"] }]);
});

test("a run must be named, and what is no run is a mistake of the command line", async () => {
  expect(await deft(["report"])).toMatchObject({ code: 2, err: expect.stringContaining("options.usage") as string });
  const refused = Object.assign(new Error("report: a run's folder"), { name: "DeftError", code: "report.run" });
  expect(await deft(["report", "x"], { reportRuns: () => Promise.reject(refused) })).toMatchObject({ code: 2, err: expect.stringContaining("[report.run]") as string });
});
