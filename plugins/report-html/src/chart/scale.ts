/** From a value to a coordinate. */
export type Scale = (value: number) => number;

/** An axis: the values from its one end to the other, and where it is labelled. */
export interface Axis {
  readonly domain: readonly [from: number, to: number];
  readonly ticks: readonly number[];
}

/** Maps a domain to a range linearly; the middle of the range where the domain is one value. */
export function linear([from, to]: readonly [number, number], [start, end]: readonly [number, number]): Scale {
  return (value) => (to === from ? (start + end) / 2 : start + ((value - from) / (to - from)) * (end - start));
}

/**
 * An axis for values: ticks at 1, 2 or 5 times a power of ten, about `count` of them, and a domain from tick to tick around the values.
 * @param zero whether 0 belongs to the axis whatever the values
 */
export function axisOf(values: readonly number[], { zero, count = 5 }: { zero: boolean; count?: number }): Axis {
  const finite = [...values.filter(Number.isFinite), ...(zero ? [0] : [])];
  let [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (finite.length === 0) [low, high] = [0, 1];
  else if (low === high) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  const step = stepFor((high - low) / count);
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => rounded((first + i) * step));
  return { domain: [ticks[0] as number, ticks.at(-1) as number], ticks };
}

/** An axis of counted steps: the domain ends with the values, and ticks are whole. */
export function countAxis(values: readonly number[], count = 6): Axis {
  const [low, high] = values.length === 0 ? [0, 1] : [Math.min(...values), Math.max(...values)];
  const step = Math.max(1, stepFor((high - low) / count));
  const first = Math.ceil(low / step);
  return { domain: [low, high], ticks: Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step) };
}

/** A coordinate in an attribute: two decimals at most. */
export function px(value: number): number {
  return Math.round(value * 100) / 100;
}

function stepFor(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough > 0 ? rough : 1));
  return rounded(([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10) * power);
}

function rounded(value: number): number {
  return Number(value.toPrecision(12));
}
