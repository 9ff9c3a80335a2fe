import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { benchTable, type BenchReport, type BenchRequest } from "../src/index.ts";
import { deft, deftError } from "./support.ts";

const report: BenchReport = {
  backend: "cpu",
  rows: [
    { variant: "dense", batch: 1, ms: 2, ratio: 1, peak_rss_mb: 100 },
    { variant: "nf4", batch: 1, ms: 3, ratio: 1.5, peak_rss_mb: 90 },
  ],
  leftOut: [{ variant: "sparse", why: "sparse: some layers, got none." }],
  approximate: ["nf4"],
  held: [],
  profiles: { dense: "MatMul" },
};

test("deft bench passes its options on, shows the table and the kernels, and writes the rows", async () => {
  const requests: BenchRequest[] = [];
  const benchCheckpoint = (request: BenchRequest) => (requests.push(request), Promise.resolve(report));
  const file = join(mkdtempSync(join(tmpdir(), "deft-bench-")), "rows.json");
  const { code, out } = await deft(["bench", "m", "--adapter", "a", "--batch", "1,4", "--seq", "16", "--tokens", "8", "--iters", "3", "--task", "adapter", "--limit", "50", "--json", file, "--profile", "--backend", "cpu"], { benchCheckpoint });
  expect(code).toBe(0);
  expect(requests).toEqual([{ checkpoint: "m", adapter: "a", batches: [1, 4], seq: 16, tokens: 8, iters: 3, task: "adapter", limit: 50, profile: true, backend: "cpu" }]);
  expect(out).toBe([...benchTable(report), "", "dense, one forward pass of batch 1", "MatMul", ""].join("\n"));
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(report.rows);
  await deft(["bench", "m"], { benchCheckpoint });
  expect(requests[1]).toEqual({ checkpoint: "m", batches: [1, 8, 32], seq: 128, tokens: 32, iters: 7 });
});

test("the table has a column of tokens per second for language models alone", () => {
  expect(benchTable(report)).toEqual([
    "variant  batch    ms  ratio  peak MB",
    "-------  -----  ----  -----  -------",
    "dense        1  2.00   1.00      100",
    "nf4          1  3.00   1.50       90",
    "on cpu, random ids; ratio: time / dense, smaller is better",
    "not the dense outputs, quality not measured: nf4",
    "left out sparse: sparse: some layers, got none.",
  ]);
  const measured: BenchReport = {
    ...report,
    rows: report.rows.map((row, i) => ({ ...row, quality: 0.9 - i / 20, changed: 4 * i })),
    quality: { task: "glue", split: "dev", metric: "accuracy", rows: 100 },
    reports: { predictor: { layers: [{ predictor: { recall: 0.9, computed: 0.2, active: 0.1 } }, { predictor: { recall: 1, computed: 0.4, active: 0.2 } }] }, sparse: { layers: [{}] } },
  };
  expect(benchTable(measured)).toEqual([
    "variant  batch    ms  ratio  peak MB  accuracy  changed",
    "-------  -----  ----  -----  -------  --------  -------",
    "dense        1  2.00   1.00      100   90.00 %        0",
    "nf4          1  3.00   1.50       90   85.00 %        4",
    "on cpu, glue's texts one after another; ratio: time / dense, smaller is better",
    "accuracy on 100 rows of dev; changed: rows with another prediction than dense",
    "not the dense outputs: nf4",
    "predictor: finds 95.00 % of the active neurons (15.00 % of all), computes 30.00 %; means over layers",
    "left out sparse: sparse: some layers, got none.",
  ]);
  const generating = { ...report, rows: report.rows.map((row) => ({ ...row, tokens_per_second: 12.34 })) };
  expect(benchTable(generating)[2]).toBe("dense        1  2.00   1.00      12.3      100");
});

test.each(["", "0", "1,,8", "1,a", "1.5", "8,8"])("a batch list %j is refused before anything is loaded", async (list) => {
  expect(await deft(["bench", "m", "--batch", list])).toMatchObject({ code: 2, out: "", err: expect.stringMatching(/^error \[options\.usage\]/) as string });
});

test("a file that cannot be written is refused before anything is measured", async () => {
  expect(await deft(["bench", "m", "--json", "/nowhere/at/all.json"])).toMatchObject({ code: 2, err: expect.stringContaining("--json must be a file that can be written") as string });
});

test("a bench that fails leaves an earlier file of rows as it was, and none where there was none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "deft-bench-"));
  const [earlier, fresh] = [join(folder, "earlier.json"), join(folder, "fresh.json")];
  writeFileSync(earlier, "[1]");
  for (const file of [earlier, fresh]) expect(await deft(["bench", "m", "--json", file], { benchCheckpoint: () => Promise.reject(deftError("checkpoint.missing")) })).toMatchObject({ code: 4 });
  expect([readFileSync(earlier, "utf8"), existsSync(fresh)]).toEqual(["[1]", false]);
});
