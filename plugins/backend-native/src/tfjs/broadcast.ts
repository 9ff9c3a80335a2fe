/** Axes of a broadcast operation with the strides of both operands, merged where both run on: four of them, or undefined when four do not suffice. */
export interface Broadcast {
  readonly shape: number[];
  readonly sizes: [number, number, number, number];
  readonly a: [number, number, number, number];
  readonly b: [number, number, number, number];
}

interface Axis {
  size: number;
  a: number;
  b: number;
}

/** Row-major strides of a shape, aligned at the right to `rank` axes; 0 where an axis is repeated. */
function strides(shape: readonly number[], rank: number): number[] {
  const out = new Array<number>(rank).fill(0);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i] as number;
    if (size !== 1) out[rank - shape.length + i] = stride;
    stride *= size;
  }
  return out;
}

/** Plans y = f(a, b) over broadcast shapes that are known to be compatible. */
export function planBroadcast(a: readonly number[], b: readonly number[]): Broadcast | undefined {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, i) => (at(a, i) === 1 ? at(b, i) : at(a, i)));
  const [sa, sb] = [strides(a, rank), strides(b, rank)];
  const axes: Axis[] = [];
  for (let i = 0; i < rank; i++) {
    const axis = { size: shape[i] as number, a: sa[i] as number, b: sb[i] as number };
    if (axis.size === 1) continue;
    const outer = axes.at(-1);
    if (outer !== undefined && outer.a === axis.a * axis.size && outer.b === axis.b * axis.size) {
      outer.size *= axis.size;
      outer.a = axis.a;
      outer.b = axis.b;
    } else axes.push(axis);
  }
  if (axes.length > 4) return undefined;
  while (axes.length < 4) axes.unshift({ size: 1, a: 0, b: 0 });
  const pick = (key: keyof Axis): [number, number, number, number] => axes.map((axis) => axis[key]) as [number, number, number, number];
  return { shape, sizes: pick("size"), a: pick("a"), b: pick("b") };
}
