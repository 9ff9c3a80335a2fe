import type { KernelName } from "@deft-js/tensor";
import type { FusedKernel, TfjsKernel } from "../kernel.ts";
import { activation, activationGradient, densityPenalty, densityPenaltyGradient, dropout, positionWeights } from "./activation.ts";
import { attention, attentionGradient } from "./attention.ts";
import { add, divide, fill, multiply, sub } from "./elementwise.ts";
import { gather, scatterAdd } from "./embedding.ts";
import { linear, linearInputGradient, linearWeightGradient, lowRank, lowRankGradient, rowSum } from "./linear.ts";
import { crossEntropy, crossEntropyGradient, softmax } from "./loss.ts";
import { batchMatMul } from "./matmul.ts";
import { norm, normGradient } from "./norm.ts";
import { adamW, squaredNorms, sums } from "./training.ts";

/** The fused kernels of the toolkit's table; products of quantized, sparse and selected weights are left to their composed forms. */
export const FUSED: { readonly [N in KernelName]?: FusedKernel<N> } = {
  DeftLinear: linear,
  DeftLinearInputGradient: linearInputGradient,
  DeftLinearWeightGradient: linearWeightGradient,
  DeftRowSum: rowSum,
  DeftLowRank: lowRank,
  DeftLowRankGradient: lowRankGradient,
  DeftActivation: activation,
  DeftActivationGradient: activationGradient,
  DeftDensityPenalty: densityPenalty,
  DeftDensityPenaltyGradient: densityPenaltyGradient,
  DeftPositionWeights: positionWeights,
  DeftNorm: norm,
  DeftNormGradient: normGradient,
  DeftAttention: attention,
  DeftAttentionGradient: attentionGradient,
  DeftCrossEntropy: crossEntropy,
  DeftCrossEntropyGradient: crossEntropyGradient,
  DeftGather: gather,
  DeftScatterAdd: scatterAdd,
  DeftDropout: dropout,
  DeftAdamW: adamW,
  DeftSums: sums,
  DeftSquaredNorms: squaredNorms,
};

/** Kernels of tfjs that it lacks on WebGPU, gets wrong, or launches at a high price. */
export const OVERRIDES: Readonly<Record<string, TfjsKernel>> = { BatchMatMul: batchMatMul, Softmax: softmax, Add: add, Sub: sub, Multiply: multiply, RealDiv: divide, Fill: fill };
