import { activation, type ActivationKind, type Tensor, type Variable } from "@deft-js/tensor";
import type { ForwardContext } from "../contracts/site.ts";
import type { Weight } from "../contracts/weight.ts";
import { DenseWeight } from "./dense-weight.ts";
import { SitePoint, type SitePlace } from "./site-point.ts";

/** Where a linear site stands; its sizes are its weight's. */
export type LinearPlace = Omit<SitePlace<"linear">, "kind" | "dIn" | "dOut" | "bias">;

/** A linear layer with its site: y = x·W + b. */
export class LinearSite extends SitePoint<"linear"> {
  #weight: Weight;

  constructor(place: LinearPlace, weight: Weight, bias?: Variable) {
    super({ ...place, kind: "linear", dIn: weight.shape[0], dOut: weight.shape[1], bias });
    this.#weight = weight;
  }

  get weight(): Weight {
    return this.#weight;
  }

  /** Puts another weight of the same shape here; the one before is the caller's to dispose. */
  set weight(next: Weight) {
    this.#weight = next;
  }

  /** x [..., dIn] → [..., dOut], through the wrappers. */
  forward(x: Tensor, context: ForwardContext): Tensor {
    return this.run(x, context, (input) => this.#weight.apply(input, this.bias?.value));
  }
}

/** An MLP's up-projection with the activation behind it. */
export interface ActivatedLinear {
  readonly linear: LinearSite;
  readonly site: SitePoint<"activation">;
  readonly activation: ActivationKind;
}

/** f(x·W + b): one fused op when neither site is wrapped and the weight is dense, site by site otherwise. */
export function activatedLinear({ linear, site, activation: kind }: ActivatedLinear, x: Tensor, context: ForwardContext): Tensor {
  const { weight } = linear;
  if (!linear.wrapped && !site.wrapped && weight instanceof DenseWeight) return weight.apply(x, linear.bias?.value, kind);
  return site.run(linear.forward(x, context), context, (pre) => activation(pre, kind));
}
