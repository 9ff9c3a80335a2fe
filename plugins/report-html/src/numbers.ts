/** What stands for a number that is not there. */
export const NONE = "–";

/** A number in few characters: 4 decimals, or 3 digits with an exponent when it is very small or large; counts beyond that in full. */
export function short(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-3 && size < 1e4)) return value.toFixed(4);
  return Number.isInteger(value) && size < 1e9 ? grouped(value) : value.toExponential(2);
}

/** A value at an axis, without needless digits: 0.05, 1.5e-7. */
export function tickLabel(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return NONE;
  return value === 0 || (size >= 1e-3 && size < 1e5) ? String(Number(value.toPrecision(6))) : String(Number(value.toExponential(2))).replace("e+", "e");
}

/** A fraction at an axis, in per cent without needless digits. */
export function percentTick(fraction: number): string {
  return tickLabel(100 * fraction);
}

/** A fraction in per cent: 0.1234 → `12.34`. */
export function percent(fraction: number | undefined): string {
  return fraction === undefined || !Number.isFinite(fraction) ? NONE : (100 * fraction).toFixed(2);
}

/** A relative change in per cent, with its sign: `−58.33 %`. */
export function change(from: number | undefined, to: number | undefined): string {
  if (from === undefined || to === undefined || !(from > 0) || !Number.isFinite(to)) return NONE;
  const relative = (to - from) / from;
  return `${relative < 0 ? "−" : "+"}${percent(Math.abs(relative))} %`;
}

/** A count with a thin space between thousands. */
export function grouped(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** A power of 1000 that brings a value between 1 and 1000, and its prefix: 1234567 → 1e6 and `M`. */
export function magnitudeOf(value: number): { readonly factor: number; readonly prefix: string } {
  const exponent = value === 0 || !Number.isFinite(value) ? 0 : Math.min(5, Math.max(-4, Math.floor(Math.log10(Math.abs(value)) / 3)));
  return { factor: 1000 ** exponent, prefix: ["p", "n", "µ", "m", "", "k", "M", "G", "T", "P"][exponent + 4] as string };
}

/** A size with the prefix of its magnitude: 1234567 J → `1.23 MJ`, 4e-12 J → `4.00 pJ`. */
export function scaled(value: number, unit: string): string {
  const { factor, prefix } = magnitudeOf(value);
  return Number.isFinite(value) ? `${(value / factor).toFixed(2)} ${prefix}${unit}` : NONE;
}

/** A duration: `4.2 s`, `3 min 20 s`, `2 h 05 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  const two = (n: number): string => String(n).padStart(2, "0");
  return minutes < 60 ? `${minutes} min ${two(whole % 60)} s` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** A moment in UTC, to the second. */
export function moment(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.valueOf()) ? NONE : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
