import { selectedLinear, sparseLinear, tensor, type SkipOptions } from "@deft-js/tensor";
import * as ref from "./reference.ts";
import type { Values } from "./reference.ts";
import type { OpCase } from "./run.ts";

/** [rows, dIn, dOut]: one row, several, wider than a vector, and an empty sum. */
const SIZES = [[1, 5, 3], [3, 70, 9], [5, 33, 21], [2, 0, 3]] as const;

/** Products that skip zeros, small entries and all but the largest, with the zeros skipped (break-even 1) and not (0). */
export function sparseCases(): OpCase[] {
  const skips: readonly SkipOptions[] = [{}, { threshold: 0.7 }, { keep: 2 }, { threshold: 0.4, keep: 4 }];
  return SIZES.flatMap(([m, k, n]) =>
    skips.flatMap((skip) =>
      [1, 0].map((breakEven): OpCase => ({
        name: `sparseLinear ${m}×${k}×${n} ${JSON.stringify(skip)} break-even ${breakEven}`,
        inputs: { x: [m, k], w: [k, n], b: [n] },
        values: { x: withZeros(m * k) },
        op: ({ x, w, b }) => sparseLinear(x as never, w as never, { ...skip, bias: b, breakEven }),
        reference: ({ x = [], w = [], b }) => ref.linear(counted(x, k, skip), w, b, [m, k, n]),
      })),
    ),
  );
}

/** Products of which each row wants some outputs: those whose selector is not 0, or is larger than a threshold; the others left out (break-even 1) and not (0). */
export function selectedCases(): OpCase[] {
  return SIZES.flatMap(([m, k, n]) =>
    [0, 0.7].flatMap((threshold) =>
      [1, 0].map((breakEven): OpCase => ({
        name: `selectedLinear ${m}×${k}×${n} above ${threshold} break-even ${breakEven}`,
        inputs: { x: [m, k], w: [n, k], b: [n] },
        op: ({ x, w, b }) => selectedLinear(x as never, w as never, { select: tensor(withZeros(m * n), [m, n]), threshold, bias: b, breakEven }),
        reference: ({ x = [], w = [], b }) => {
          const transposed = Array.from({ length: k * n }, (_, i) => w[(i % n) * k + Math.floor(i / n)] ?? NaN);
          const select = withZeros(m * n);
          return ref.linear(x, transposed, b, [m, k, n]).map((y, i) => (Math.abs(select[i] ?? NaN) > threshold ? y : 0));
        },
      })),
    ),
  );
}

/** Two zeros in three entries, the others between −1.1 and 1.1, no two alike, none at a threshold. */
function withZeros(n: number): number[] {
  return Array.from({ length: n }, (_, i) => (i % 3 === 0 ? Math.fround(Math.sin(1.7 * i + 0.3) * 1.1) : 0));
}

function counted(x: Values, k: number, { threshold = 0, keep = 0 }: SkipOptions): number[] {
  const rows = Array.from({ length: k === 0 ? 0 : x.length / k }, (_, r) => x.slice(r * k, (r + 1) * k));
  return rows.flatMap((row) => {
    const least = keep === 0 || keep >= k ? 0 : (row.map(Math.abs).sort((a, b) => b - a)[keep - 1] ?? 0);
    return row.map((v) => (Math.abs(v) > threshold && Math.abs(v) >= least ? v : threshold === 0 && keep === 0 ? v : 0));
  });
}
