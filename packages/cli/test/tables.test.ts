import { describe, expect, test } from "vitest";
import { comparisonTable, densityTable, stageEvaluations } from "../src/index.ts";
import { clock, magnitude, percent, short } from "../src/tables/numbers.ts";
import { isDensityReport } from "../src/tables/density-table.ts";
import { textTable } from "../src/tables/text-table.ts";
import { evaluation, report, shares } from "./support.ts";

test("the density table has a row for each layer and stack, in per cent", () => {
  expect(densityTable(report)).toEqual([
    "layer            ≠ 0  |a| > 0.01  ≠ 0, padding in  |a| > 0.01, padding in",
    "-------------  -----  ----------  ---------------  ----------------------",
    "encoder 0      10.00        5.00            20.00                   10.00",
    "encoder 1      30.00       15.00            40.00                   20.00",
    "encoder, mean  20.00       10.00            30.00                   15.00",
    "in per cent of neurons; 4 examples, 200 positions, 25.00 % of them padding",
  ]);
});

test("a report without layers is still a table", () => {
  expect(densityTable({ examples: 0, layers: [], encoder: null, decoder: null, padding: { positions: 0, padded: 0 } }).at(-1)).toBe("in per cent of neurons; 0 examples, 0 positions, 0.00 % of them padding");
});

test.each([null, 1, {}, { layers: [{}], encoder: null, decoder: null, padding: {} }, { ...report, padding: undefined }])("%j is no density report", (value) => expect(isDensityReport(value)).toBe(false));

describe("comparison of stages", () => {
  const dense = { ...evaluation, reports: { density: { ...report, layers: [{ stack: "encoder", layer: 0, ...shares(0.4, 0.5) }] } } };
  const stage = (dev: unknown) => ({ evaluations: { dev } });

  test("takes each stage's evaluations, and leaves out what is none", () => {
    const history = [{ step: 1, split: "dev", metrics: { accuracy: 0.1 } }];
    expect(stageEvaluations({ a: { ...stage(evaluation), history }, b: stage(dense), c: "no evaluation", d: null, e: stage({ metrics: { loss: null } }), f: { evaluations: [evaluation] } })).toEqual([
      { stage: "a", split: "dev", metrics: evaluation.metrics, density: { exact: 0.2, exactIncludingPadding: expect.closeTo(0.3, 12) as number } },
      { stage: "b", split: "dev", metrics: evaluation.metrics, density: { exact: 0.4, exactIncludingPadding: 0.5 } },
    ]);
  });

  test("puts metrics, density and its change side by side", () => {
    expect(comparisonTable(stageEvaluations({ peft: stage(dense), deft: stage(evaluation), plain: stage({ metrics: { accuracy: 0.5 } }) }))).toEqual([
      "stage  accuracy    loss  density %  padding in %  change %",
      "-----  --------  ------  ---------  ------------  --------",
      "peft     0.7500  0.5000      40.00         50.00      0.00",
      "deft     0.7500  0.5000      20.00         30.00    -50.00",
      "plain    0.5000       –          –             –         –",
    ]);
  });

  test("has a column of splits when there are several, and none of density where it was not measured", () => {
    const plain = { metrics: { accuracy: 0.5 } };
    expect(comparisonTable(stageEvaluations({ mnli: { evaluations: { matched: plain, mismatched: plain } } }))).toEqual(["stage  split       accuracy", "-----  ----------  --------", "mnli   matched       0.5000", "mnli   mismatched    0.5000"]);
  });

  test("is left out for one evaluation", () => expect(comparisonTable(stageEvaluations({ a: stage(evaluation) }))).toEqual([]));
});

test("numbers are short", () => {
  expect([0, 0.5, 1e-7, 12345, -0.25, NaN, Infinity].map(short)).toEqual(["0", "0.5000", "1.00e-7", "1.23e+4", "-0.2500", "NaN", "Infinity"]);
  expect([0, 999.6, 12_345, 2_500_000, 3e9].map(magnitude)).toEqual(["0", "1000", "12.3k", "2.5M", "3.0G"]);
  expect([0, 59_600, 3_600_000, -5].map(clock)).toEqual(["0:00", "1:00", "1:00:00", "0:00"]);
  expect([0.12345, undefined, NaN].map(percent)).toEqual(["12.35", "–", "–"]);
});

test("cells cannot move the cursor", () => {
  expect(textTable([{ title: "a" }], [["x\u001b[2J\r\ny"]]).at(-1)).toBe("x?[2J??y");
});
