const fround = Math.fround;

/** PyTorch's order of summation: vectors of 8, 4 of them at a time, partial sums cascaded over 4 levels. */
const LANES = 8;
const VECTORS = 4;
const LEVELS = 4;
const WIDTH = LANES * VECTORS;

/**
 * The mean in float32, added up in the order of PyTorch's CPU sum: the offset of double quantization then has bitsandbytes' bits. Another order is as good, but moves
 * the last bit, and with it a code here and there.
 */
export function float32Mean(values: Float32Array): number {
  const vectors = Math.floor(values.length / LANES);
  const rows = Math.floor(vectors / VECTORS);
  const sums = cascaded(values, rows);
  for (let v = rows * VECTORS; v < vectors; v++) for (let lane = 0; lane < LANES; lane++) add(sums, lane, values[v * LANES + lane]);
  for (let i = LANES; i < WIDTH; i++) add(sums, i % LANES, sums[i]);
  let total = 0;
  for (let i = vectors * LANES; i < values.length; i++) total = fround(total + (values[i] as number));
  for (let lane = 0; lane < LANES; lane++) total = fround(total + (sums[lane] as number));
  return values.length === 0 ? 0 : fround(total / values.length);
}

/** Column sums of [rows, 32]: full levels are carried on to the next, so that no partial sum grows long. */
function cascaded(values: Float32Array, rows: number): Float32Array {
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(2, rows))) / LEVELS));
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(WIDTH));
  const first = levels[0] as Float32Array;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < WIDTH; i++) add(first, i, values[row * WIDTH + i]);
    if ((row + 1) % 2 ** power === 0) carry(levels, row + 1, power);
  }
  for (const level of levels.slice(1)) for (let i = 0; i < WIDTH; i++) add(first, i, level[i]);
  return first;
}

function carry(levels: readonly Float32Array[], done: number, power: number): void {
  for (let j = 1; j < LEVELS; j++) {
    const [below, level] = [levels[j - 1] as Float32Array, levels[j] as Float32Array];
    for (let i = 0; i < WIDTH; i++) add(level, i, below[i]);
    below.fill(0);
    if (Math.floor(done / 2 ** (j * power)) % 2 ** power !== 0) return;
  }
}

/** Storing into the array rounds to float32. */
function add(into: Float32Array, at: number, value: number | undefined): void {
  into[at] = (into[at] as number) + (value as number);
}
