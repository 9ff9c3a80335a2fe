/** A fraction in per cent, two digits: 0.1234 → `12.34`. */
export function percent(fraction: number | undefined): string {
  return fraction === undefined || !Number.isFinite(fraction) ? "–" : (100 * fraction).toFixed(2);
}

/** A number in few characters: 4 decimals, or 4 digits with an exponent when it is very small or large. */
export function short(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e4 ? value.toFixed(4) : value.toExponential(2);
}

/** A count with its magnitude: 1234567 → `1.2M`. */
export function magnitude(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)}M`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(1)}k` : String(Math.round(count));
}

/** A duration as `m:ss` or `h:mm:ss`. */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number): string => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
