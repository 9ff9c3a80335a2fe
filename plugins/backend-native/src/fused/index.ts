import type { KernelName } from "@deft-js/tensor";
import type { FusedKernel } from "../kernel.ts";
import { activation, activationGradient, densityPenalty, densityPenaltyGradient, dropout, positionWeights } from "./activation.ts";
import { attention, attentionGradient } from "./attention.ts";
import { linear, linearInputGradient, linearWeightGradient, lowRank, lowRankGradient, rowSum } from "./linear.ts";
import { selectedLinear } from "./selected.ts";
import { sparseLinear } from "./sparse.ts";
import { norm, normGradient } from "./norm.ts";
import { quantizedLinear, quantizedLinearInputGradient } from "./quantized.ts";
import { adamW, crossEntropy, crossEntropyGradient, gather, scatterAdd, squaredNorms, sums } from "./training.ts";

/** Every fused kernel of the toolkit's table. */
export const FUSED: { readonly [N in KernelName]: FusedKernel<N> } = {
  DeftLinear: linear,
  DeftLinearInputGradient: linearInputGradient,
  DeftLinearWeightGradient: linearWeightGradient,
  DeftQuantizedLinear: quantizedLinear,
  DeftQuantizedLinearInputGradient: quantizedLinearInputGradient,
  DeftSparseLinear: sparseLinear,
  DeftSelectedLinear: selectedLinear,
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
  DeftSquaredNorms: squaredNorms,
  DeftSums: sums,
};
