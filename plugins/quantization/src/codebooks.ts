const fround = Math.fround;

/** A 4-bit data type: what its codes stand for, and how a value in [−1, 1] becomes one. */
export interface Codebook4 {
  readonly id: "nf4" | "fp4";
  /** 16 values by code. */
  readonly values: Float32Array;
  /** The code of a value that was divided by its block's largest |value|. */
  encode(scaled: number): number;
}

/** The 16 values of NormalFloat: quantiles of the normal distribution with an exact 0, scaled to [−1, 1] (Dettmers et al., 2023, arXiv:2305.14314, appendix E). */
const NF4_VALUES = Float32Array.of(
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
);

/** Halfway between neighbours: a value above the threshold takes the upper code. */
const NF4_THRESHOLDS = NF4_VALUES.slice(1).map((upper, i) => (upper + (NF4_VALUES[i] as number)) / 2);

/** How many of 15 ascending thresholds a value exceeds. */
function above(thresholds: Float32Array, value: number): number {
  let code = value > (thresholds[7] as number) ? 8 : 0;
  code += value > (thresholds[code + 3] as number) ? 4 : 0;
  code += value > (thresholds[code + 1] as number) ? 2 : 0;
  return code + (value > (thresholds[code] as number) ? 1 : 0);
}

/** NormalFloat with 4 bits. */
export const NF4: Codebook4 = { id: "nf4", values: NF4_VALUES, encode: (scaled) => above(NF4_THRESHOLDS, scaled) };

/** |values| of FP4 (one sign, two exponent and one mantissa bit) in the order of its bits, as bitsandbytes has them. */
const FP4_MAGNITUDES = [0, 0.0052083334885537624, 0.6666666865348816, 1, 0.3333333432674408, 0.5, 0.1666666716337204, 0.25];
const FP4_THRESHOLDS = [0.00260417, 0.0859375, 0.20833333, 0.29166666, 0.4166667, 0.583333, 0.8333333].map(fround);
/** The code of each interval between the thresholds: the order of the values, not of the bits. */
const FP4_CODES = [0, 1, 6, 7, 4, 5, 2, 3];

function fp4Code(scaled: number): number {
  const size = Math.abs(scaled);
  let interval = 0;
  while (interval < 7 && size > (FP4_THRESHOLDS[interval] as number)) interval++;
  return (FP4_CODES[interval] as number) | (scaled < 0 ? 8 : 0);
}

/** 4-bit floating point; a small negative value becomes −0, code 8, as on bitsandbytes' GPU path. */
export const FP4: Codebook4 = { id: "fp4", values: Float32Array.from([...FP4_MAGNITUDES, ...FP4_MAGNITUDES.map((value) => -value)]), encode: fp4Code };
