const TILE = 32;

/** The transpose of a row-major matrix [rows, columns] on the host, as a fresh array [columns, rows]. */
export function transposeMatrix(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(top + TILE, rows);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(left + TILE, columns);
      for (let r = top; r < bottom; r++) for (let c = left; c < right; c++) out[c * rows + r] = values[r * columns + c] as number;
    }
  }
  return out;
}
