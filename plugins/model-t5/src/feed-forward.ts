import { activatedLinear, contextDropout, ops, type ActivatedLinear, type ForwardContext, type LinearSite, type ModelParts, type SitePoint } from "@deft-js/core";
import type { T5Config } from "./config.ts";
import type { Place } from "./place.ts";

/** What the MLP made on its way; both are missing when a wrapper passed it over. */
export interface Intermediate {
  /** f(x·W), or the gate f(x·W₀), [batch, seq, dFf]. */
  readonly activation?: ops.Tensor | undefined;
  /** f(x·W₀)⊙(x·W₁) of a gated MLP, [batch, seq, dFf]. */
  readonly product?: ops.Tensor | undefined;
}

/** f(x·W)·W_o, or (f(x·W₀)⊙(x·W₁))·W_o with the gate's activation as the activation site (Shazeer, 2020, arXiv:2002.05202). */
export class FeedForward {
  readonly #config: T5Config;
  readonly #site: SitePoint<"mlp">;
  readonly #up: ActivatedLinear;
  readonly #factor: LinearSite | undefined;
  readonly #down: LinearSite;

  constructor(parts: ModelParts, config: T5Config, { path, ...place }: Place) {
    const { dModel: d, dFf } = config;
    this.#config = config;
    this.#site = parts.site({ ...place, kind: "mlp", path, dIn: d, dOut: d });
    const linear = parts.linear({ ...place, path: `${path}.${config.gated ? "wi_0" : "wi"}`, role: config.gated ? "mlp-gate" : "mlp-up" });
    this.#factor = config.gated ? parts.linear({ ...place, path: `${path}.wi_1`, role: "mlp-up" }) : undefined;
    this.#up = { linear, site: parts.site({ ...place, kind: "activation", path: `${path}.act`, dIn: dFf, dOut: dFf }), activation: config.activation };
    this.#down = parts.linear({ ...place, path: `${path}.wo`, role: "mlp-down" });
  }

  /** The path of the activation site. */
  get activationPath(): string {
    return this.#up.site.path;
  }

  /** x [batch, seq, dModel] → the same shape, before dropout. */
  forward(x: ops.Tensor, context: ForwardContext): Intermediate & { readonly hidden: ops.Tensor } {
    let made: Intermediate = {};
    const hidden = this.#site.run(x, context, (input) => {
      const activation = activatedLinear(this.#up, input, context); // [batch, seq, dFf]
      const product = this.#factor && ops.mul(activation, this.#factor.forward(input, context));
      made = { activation, product };
      return this.#down.forward(contextDropout(product ?? activation, this.#config.dropout, context), context);
    });
    return { hidden, ...made };
  }
}
