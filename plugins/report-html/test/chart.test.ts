import { expect, it } from "vitest";
import { barChart } from "../src/chart/bars.ts";
import { heatMap } from "../src/chart/heat-map.ts";
import { lineChart } from "../src/chart/lines.ts";
import { axisOf, countAxis } from "../src/chart/scale.ts";

const format = (value: number): string => String(value);
const bare = { title: "T", yLabel: "y", yFormat: format };

/** The attributes of every element with this start. */
function drawn(text: string, element: RegExp): Record<string, string>[] {
  return [...text.matchAll(element)].map(([tag]) => Object.fromEntries([...tag.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!])));
}

it("labels an axis at 1, 2 or 5 times a power of ten, from tick to tick around the values", () => {
  expect(axisOf([0.3, 9.2], { zero: false })).toEqual({ domain: [0, 10], ticks: [0, 2, 4, 6, 8, 10] });
  expect(axisOf([0.71, 0.89], { zero: false })).toEqual({ domain: [0.7, 0.9], ticks: [0.7, 0.75, 0.8, 0.85, 0.9] });
  expect(axisOf([0.71, 0.89], { zero: true })).toEqual({ domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] });
  expect(axisOf([-0.2, 1.1], { zero: true })).toEqual({ domain: [-0.5, 1.5], ticks: [-0.5, 0, 0.5, 1, 1.5] });
  expect(axisOf([0, 0], { zero: true })).toEqual({ domain: [0, 1], ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] });
  expect(axisOf([], { zero: false }).domain).toEqual([0, 1]);
  expect(axisOf([2e-7, NaN], { zero: true }).domain).toEqual([0, 2e-7]);
  expect(countAxis([1, 4])).toEqual({ domain: [1, 4], ticks: [1, 2, 3, 4] });
  expect(countAxis([3])).toEqual({ domain: [3, 3], ticks: [3] });
});

it("draws a line from the plot's left to its right, over an axis from 0", () => {
  // The plot goes from 58 to 626 and from 234 up to 12; steps 0 to 10, values 0 to 10: 56.8 and 22.2 a unit.
  const { text } = lineChart({ ...bare, zero: true, lines: [{ name: "a", points: [{ x: 0, y: 0 }, { x: 5, y: 10 }, { x: 10, y: 5 }] }, { name: "b", points: [{ x: 10, y: NaN }, { x: 1, y: 1 }] }] });
  expect(drawn(text, /<polyline[^>]*>/g)).toEqual([{ class: "line s0", points: "58,234 342,12 626,123" }]);
  expect(drawn(text, /<circle[^>]*>/g).map(({ cx, cy }) => [cx, cy])).toEqual([["58", "234"], ["342", "12"], ["626", "123"], ["114.8", "211.8"]]);
  expect(text).toContain("<title>T</title>");
  expect(text).toContain("<title>a, step 5: 10</title>");
});

it("leaves markers out of lines of many points", () => {
  const points = Array.from({ length: 41 }, (_, x) => ({ x, y: x }));
  expect(lineChart({ ...bare, zero: true, lines: [{ name: "a", points }] }).text).not.toContain("<circle");
});

it("draws bars from 0 up and down, centred in their groups", () => {
  // Two groups of 284, bars 44 wide; from −1 to 1 on 222, 0 at 123.
  const { text } = barChart({ ...bare, xLabel: "x", groups: ["g", "h"], series: [{ name: "a", values: [1, -1] }] });
  expect(drawn(text, /<rect[^>]*>/g)).toEqual([
    { class: "bar s0", x: "178", y: "12", width: "44", height: "111" },
    { class: "bar s0", x: "462", y: "123", width: "44", height: "111" },
  ]);
});

it("puts series side by side, or in one place, and leaves absent values out", () => {
  // Eight groups of 71: 72 % of it for two bars of 25.56, or one of 44 at most.
  const groups = Array.from({ length: 8 }, (_, i) => String(i));
  const values = (...first: (number | undefined)[]) => groups.map((_, i) => first[i]);
  const both = [{ name: "a", values: values(1, undefined) }, { name: "b", values: values(2, 1), hollow: true }];
  const beside = drawn(barChart({ ...bare, xLabel: "x", groups, series: both }).text, /<rect[^>]*>/g);
  expect(beside).toMatchObject([{ x: "67.94", width: "25.56", height: "111" }, { class: "bar s1 hollow", x: "93.5", height: "222" }, { x: "164.5", height: "111" }]);
  const shared = drawn(barChart({ ...bare, xLabel: "x", groups, shared: true, series: [{ name: "a", values: values(1) }, { name: "b", values: values(undefined, 1) }] }).text, /<rect[^>]*>/g);
  expect(shared.map(({ x }) => x)).toEqual(["71.5", "142.5"]);
});

it("labels every second of more than 24 groups", () => {
  const groups = Array.from({ length: 32 }, (_, i) => `L${i}`);
  const { text } = barChart({ ...bare, xLabel: "x", groups, series: [{ name: "a", values: groups.map(() => 1) }] });
  expect([...text.matchAll(/>(L\d+)</g)].map(([, label]) => label)).toEqual(groups.filter((_, i) => i % 2 === 0));
});

it("draws a cell for each value, the stronger the greater it is beside the greatest", () => {
  const { text } = heatMap({ title: "T", rows: [{ name: "r", values: [1, -0.5] }, { name: "s", values: [undefined, 0] }], columns: ["1", "2"], xLabel: "x", format });
  expect(drawn(text, /<rect[^>]*>/g).map(({ x, y, width, height, "fill-opacity": opacity }) => [x, y, width, height, opacity])).toEqual([
    ["93", "1", "265", "22", "0.56"],
    ["360", "1", "265", "22", "0.3"],
    ["360", "25", "265", "22", "0.04"],
  ]);
  expect([...text.matchAll(/class="cell-value"[^>]*>([^<]*)</g)].map(([, value]) => value)).toEqual(["1", "-0.5", "0"]);
});
