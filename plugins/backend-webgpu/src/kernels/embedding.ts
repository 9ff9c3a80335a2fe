import { asMatrix, required, sizeOf, type FusedKernel } from "../kernel.ts";
import { elementGroups, perElement } from "../wgsl.ts";

/** y[i] = table[ids[i]], NaN for an id that the table has not: it must not pass unseen. */
export const gather: FusedKernel<"DeftGather"> = (compute, inputs) => {
  const [table, ids] = [required(inputs, "table"), required(inputs, "ids")];
  const [entries, n] = asMatrix(table);
  const y = compute.make([...ids.shape, n]);
  const size = sizeOf(y);
  compute.run({
    program: "gather",
    code: () => perElement(`
  let id = u32(ids[i / numbers.n]);
  y[i] = select(bitcast<f32>(numbers.nan), table[min(id, numbers.entries - 1u) * numbers.n + i % numbers.n], id < numbers.entries);`),
    reads: { table, ids },
    writes: { y },
    numbers: { integers: { size, n, entries, nan: 0x7fc00000 } },
    workgroups: elementGroups(size),
  });
  return [y];
};

/** out[ids[i]] += dy[i]. Each element of the table goes through the ids in their order: no two invocations write to one place, so the sum is the same each time. */
export const scatterAdd: FusedKernel<"DeftScatterAdd"> = (compute, inputs, { size: entries }) => {
  const [ids, dy] = [required(inputs, "ids"), required(inputs, "dy")];
  const [rows, n] = asMatrix(dy);
  const table = compute.make([entries, n]);
  const size = entries * n;
  compute.run({
    program: "scatter add",
    code: () => perElement(`
  let entry = i32(i / numbers.n);
  let column = i % numbers.n;
  var sum = 0.0;
  for (var r = 0u; r < numbers.rows; r++) {
    if (ids[r] == entry) { sum += dy[r * numbers.n + column]; }
  }
  table[i] = sum;`),
    reads: { ids, dy },
    writes: { table },
    numbers: { integers: { size, n, rows } },
    workgroups: elementGroups(size),
  });
  return [table];
};
