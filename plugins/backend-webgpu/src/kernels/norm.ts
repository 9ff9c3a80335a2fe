import { asMatrix, present, required, type FusedKernel } from "../kernel.ts";
import { eachColumn, perRow, rowGroups, when } from "../wgsl.ts";
import { rowSums } from "./row-sum.ts";

/** y = γ·(z − mean)·rstd + β, mean, rstd, and z = x + residual when there is a residual. */
export const norm: FusedKernel<"DeftNorm"> = (compute, inputs, { kind, epsilon }) => {
  const x = required(inputs, "x");
  const { residual } = inputs;
  const beta = kind === "layer" ? inputs["beta"] : undefined;
  const [rows, n] = asMatrix(x);
  const [y, mean, rstd] = [compute.make(x.shape), compute.make([rows]), compute.make([rows])];
  const z = residual === undefined ? undefined : compute.make(x.shape);
  compute.run({
    program: `norm ${kind}`,
    code: () => perRow(normRow(kind === "layer", beta !== undefined, z !== undefined)),
    reads: present({ x, residual, gamma: required(inputs, "gamma"), beta }),
    writes: z === undefined ? { y, mean, rstd } : { y, mean, rstd, z },
    numbers: { integers: { rows, n }, floats: { epsilon } },
    workgroups: rowGroups(rows),
  });
  return z === undefined ? [y, mean, rstd] : [y, mean, rstd, z];
};

/** Each lane reads again only what it has written itself. */
function normRow(centred: boolean, shifted: boolean, added: boolean): string {
  const z = added ? "z[i]" : "x[i]";
  return /* wgsl */ `
  let count = f32(numbers.n);
  var sum = 0.0;
  ${when(added || centred, eachColumn(`${when(added, "z[i] = x[i] + residual[i]; ")}sum += ${z};`))}
  let middle = ${when(centred, "total(lane, sum) / count", "0.0")};
  var squares = 0.0;
  ${eachColumn(`let d = ${z} - middle; squares += d * d;`)}
  let scale = inverseSqrt(total(lane, squares) / count + numbers.epsilon);
  ${eachColumn(`y[i] = (${z} - middle) * scale * gamma[column]${when(shifted, " + beta[column]")};`)}
  if (lane == 0u) { mean[row] = middle; rstd[row] = scale; }`;
}

/** dz = rstd·(g − mean g − x̂·mean(g·x̂)) onto a sum that is given, g = γ·dy (rms: no mean g); dγ = Σ dy·x̂ and dβ = Σ dy when `parameters`. */
export const normGradient: FusedKernel<"DeftNormGradient"> = (compute, inputs, { kind, parameters }) => {
  const [dy, z, gamma, mean, rstd] = [required(inputs, "dy"), required(inputs, "z"), required(inputs, "gamma"), required(inputs, "mean"), required(inputs, "rstd")];
  const [rows, n] = asMatrix(dy);
  const { sum } = inputs;
  const results = [];
  if (parameters) {
    const dGamma = compute.make([n]);
    const dBeta = kind === "layer" ? compute.make([n]) : undefined;
    const sums = { dGamma: "dy[i] * (z[i] - mean[row]) * rstd[row]", ...(dBeta === undefined ? {} : { dBeta: "dy[i]" }) };
    rowSums(compute, { program: `norm parameters ${kind}`, rows, n, reads: { dy, z, mean, rstd }, sums, writes: present({ dGamma, dBeta }) });
    results.push(dGamma, ...(dBeta === undefined ? [] : [dBeta]));
  }
  const own = compute.taken(sum ?? dy, inputs);
  const dz = own ?? compute.make(z.shape);
  const place = own === undefined ? "apart" : sum === undefined ? "over dy" : "onto the sum";
  const arriving = place === "over dy" ? "dz[i]" : "dy[i]";
  const before = sum === undefined ? "" : place === "apart" ? "sum[i] + " : "dz[i] + ";
  compute.run({
    program: `norm gradient ${kind} ${place}`,
    code: () => perRow(gradientRow(kind === "layer", arriving, before)),
    reads: present({ dy: place === "over dy" ? undefined : dy, z, gamma, mean, rstd, sum: place === "apart" ? sum : undefined }),
    writes: { dz },
    numbers: { integers: { rows, n } },
    workgroups: rowGroups(rows),
  });
  return [dz, ...results];
};

function gradientRow(centred: boolean, arriving: string, before: string): string {
  const columns = (body: string): string => eachColumn(`let g = ${arriving} * gamma[column]; let unit = (z[i] - middle) * scale; ${body}`);
  return /* wgsl */ `
  let middle = mean[row];
  let scale = rstd[row];
  let count = f32(numbers.n);
  var plain = 0.0;
  var along = 0.0;
  ${columns("plain += g; along += g * unit;")}
  let shift = ${when(centred, "total(lane, plain) / count", "0.0")};
  let slope = total(lane, along) / count;
  ${columns(`dz[i] = ${before}(g - shift - unit * slope) * scale;`)}`;
}
