import type { ActivationKind } from "@deft-js/tensor";

/** The addon's number for each activation. */
export const ACTIVATIONS: Readonly<Record<ActivationKind | "identity", number>> = { identity: 0, relu: 1, gelu: 2, gelu_new: 3, silu: 4, tanh: 5, sigmoid: 6 };
