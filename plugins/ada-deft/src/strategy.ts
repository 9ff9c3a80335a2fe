import { ops, type ForwardContext, type Progress } from "@deft-js/core";
import type { GatesOptions } from "./options.ts";

/** How a block's gate comes from its learned parameter θ, [1]. */
export interface GateStrategy {
  /** θ before training. */
  readonly start: number;
  /** The gate g of one forward pass, [1], with the gradient by θ. */
  gate(theta: ops.Tensor, context: ForwardContext): ops.Tensor;
  /** How present the block is, [1]: the factor of its density in the objective, with the gradient by θ. */
  presence(theta: ops.Tensor, progress: Progress | undefined): ops.Tensor;
  /** The gate in evaluation. */
  value(theta: number): number;
}

/** The strategy that options name. */
export function gateStrategy(options: GatesOptions): GateStrategy {
  if (options.strategy === "scalar") return scalarGate(options);
  return options.strategy === "sigmoid" ? sigmoidGate(options) : hardConcreteGate(options);
}

/** g = θ, presence |θ|: an L1 penalty on the gate. */
function scalarGate({ start }: Extract<GatesOptions, { strategy: "scalar" }>): GateStrategy {
  return { start, gate: (theta) => theta, presence: (theta) => ops.abs(theta), value: (theta) => theta };
}

/** g = presence = σ(θ/T) with T = from·(to/from)^(step/(totalSteps − 1)), and T = to in evaluation. */
function sigmoidGate({ start, temperature: { from, to } }: Extract<GatesOptions, { strategy: "sigmoid" }>): GateStrategy {
  const temperatureAt = (progress: Progress | undefined): number => {
    if (progress === undefined || progress.totalSteps <= 1) return to;
    return from * (to / from) ** Math.min(1, progress.step / (progress.totalSteps - 1));
  };
  const gateAt = (theta: ops.Tensor, progress: Progress | undefined): ops.Tensor => ops.sigmoid(ops.scale(theta, 1 / temperatureAt(progress)));
  return { start: from * logit(start), gate: (theta, { progress }) => gateAt(theta, progress), presence: gateAt, value: (theta) => sigmoid(theta / to) };
}

/**
 * Hard-concrete gates (Louizos, Welling, Kingma, 2018, arXiv:1712.01312), θ = log α. Training draws u uniform in (0, 1), one number for a block and pass:
 * g = clip(s·(ζ − γ) + γ, 0, 1) with s = σ((log u − log(1 − u) + θ)/β) (equations 10 and 11); evaluation takes s = σ(θ) (equation 13). Presence is
 * P(g ≠ 0) = σ(θ − β·log(−γ/ζ)) (equation 12).
 */
function hardConcreteGate({ start, beta, low, high }: Extract<GatesOptions, { strategy: "hard-concrete" }>): GateStrategy {
  const stretched = (s: ops.Tensor): ops.Tensor => ops.clip(ops.add(ops.scale(s, high - low), ops.scalar(low)), 0, 1);
  const shift = -beta * Math.log(-low / high);
  return {
    start: logit(start),
    gate: (theta, context) => stretched(ops.sigmoid(context.training ? ops.scale(ops.add(theta, ops.scalar(logit(uniformOf(context.nextSeed())))), 1 / beta) : theta)),
    presence: (theta) => ops.sigmoid(ops.add(theta, ops.scalar(shift))),
    value: (theta) => Math.min(1, Math.max(0, sigmoid(theta) * (high - low) + low)),
  };
}

/** Uniform in the open interval (0, 1): the ends would give infinite noise. */
function uniformOf(seed: number): number {
  return new ops.Rng(seed).uniform() + 2 ** -25;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function logit(p: number): number {
  return Math.log(p / (1 - p));
}
