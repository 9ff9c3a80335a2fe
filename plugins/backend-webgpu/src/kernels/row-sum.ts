import type { Compute } from "../compute.ts";
import type { Bound } from "../programs.ts";
import { folded } from "../wgsl.ts";

/** Columns of a workgroup, and the lanes that share a column's rows. */
const COLUMNS = 16;
const SHARERS = 16;

/** Sums over the rows of a matrix, column by column. */
export interface RowSums {
  readonly program: string;
  readonly rows: number;
  readonly n: number;
  readonly reads: Bound;
  /** For each result an expression in the index `i`, the `row` and the `column`. */
  readonly sums: Readonly<Record<string, string>>;
  /** Results by the same names, [n] each. */
  readonly writes: Bound;
}

/** result[column] = Σ_row expression, always in the same order, several at a time. */
export function rowSums(compute: Compute, { program, rows, n, reads, sums, writes }: RowSums): void {
  compute.run({ program, code: () => wgsl(Object.entries(sums)), reads, writes, numbers: { integers: { rows, n } }, workgroups: folded(Math.ceil(n / COLUMNS)) });
}

function wgsl(sums: readonly (readonly [name: string, expression: string])[]): string {
  return /* wgsl */ `
var<workgroup> parts : array<f32, ${COLUMNS * SHARERS}>;
fn shared_sum(lane : u32, value : f32) -> f32 {
  parts[lane] = value;
  for (var half = ${SHARERS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half * ${COLUMNS}u) { parts[lane] += parts[lane + half * ${COLUMNS}u]; }
  }
  workgroupBarrier();
  let whole = parts[lane % ${COLUMNS}u];
  workgroupBarrier();
  return whole;
}
@compute @workgroup_size(${COLUMNS * SHARERS})
fn main(@builtin(workgroup_id) group : vec3u, @builtin(num_workgroups) groups : vec3u, @builtin(local_invocation_index) lane : u32) {
  let column = (group.y * groups.x + group.x) * ${COLUMNS}u + lane % ${COLUMNS}u;
  ${sums.map(([name]) => `var sum_${name} = 0.0;`).join(" ")}
  if (column < numbers.n) {
    for (var row = lane / ${COLUMNS}u; row < numbers.rows; row += ${SHARERS}u) {
      let i = row * numbers.n + column;
      ${sums.map(([name, expression]) => `sum_${name} += ${expression};`).join("\n      ")}
    }
  }
  ${sums.map(([name]) => `let whole_${name} = shared_sum(lane, sum_${name}); if (lane < ${COLUMNS}u && column < numbers.n) { ${name}[column] = whole_${name}; }`).join("\n  ")}
}`;
}
