/** Matrices [rows, width] side by side, row by row: [rows, blocks·width]. */
export function besides(blocks: readonly Float32Array[], rows: number): Float32Array {
  const width = (blocks[0]?.length ?? 0) / rows;
  const joined = new Float32Array(rows * width * blocks.length);
  for (const [b, block] of blocks.entries()) for (let row = 0; row < rows; row++) joined.set(block.subarray(row * width, (row + 1) * width), (row * blocks.length + b) * width);
  return joined;
}

/** The inverse of `besides`. */
export function apart(joined: Float32Array, rows: number, count: number): readonly Float32Array[] {
  const width = joined.length / rows / count;
  return Array.from({ length: count }, (_, b) => {
    const block = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) block.set(joined.subarray((row * count + b) * width, (row * count + b + 1) * width), row * width);
    return block;
  });
}
