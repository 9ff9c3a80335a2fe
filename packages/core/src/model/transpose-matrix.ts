const TILE = 32;

/** The transpose of a row-major matrix [rows, columns] on the host, as an array [columns, rows]: a fresh one, or the given. */
export function transposeMatrix(values: Float32Array, rows: number, columns: number, out: Float32Array = new Float32Array(values.length)): Float32Array {
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(top + TILE, rows);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(left + TILE, columns);
      for (let r = top; r < bottom; r++) for (let c = left; c < right; c++) out[c * rows + r] = values[r * columns + c] as number;
    }
  }
  return out;
}
