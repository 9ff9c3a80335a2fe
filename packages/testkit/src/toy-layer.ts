import { activatedLinear, ops, type ActivatedLinear, type ForwardContext, type LinearSite, type ModelParts, type SitePoint } from "@deft-js/core";
import type { ToySizes } from "./toy-parts.ts";

/** LN without parameters. */
function normalize(x: ops.Tensor): ops.Tensor {
  const d = [x.shape.at(-1) ?? 0];
  return ops.layerNorm(x, { gamma: ops.ones(d), beta: ops.zeros(d), epsilon: 1e-5 });
}

/** What follows a sublayer: LN(site(h) + x). */
interface Residual {
  readonly site: SitePoint<"residual">;
  readonly norm: SitePoint<"norm">;
}

/** One toy layer: x ← LN(x + attention), x ← LN(x + mlp); the query serves as key, too. */
export class ToyLayer {
  readonly #query: LinearSite;
  readonly #value: LinearSite;
  readonly #attention: SitePoint<"attention">;
  readonly #afterAttention: Residual;
  readonly #mlp: SitePoint<"mlp">;
  readonly #up: ActivatedLinear;
  readonly #down: LinearSite;
  readonly #afterMlp: Residual;

  constructor(parts: ModelParts, { dModel: d, dFf }: ToySizes, layer: number) {
    const path = `toy.encoder.layer.${layer}`;
    const place = { stack: "encoder", layer } as const;
    this.#query = parts.linear({ ...place, path: `${path}.attention.self.query` });
    this.#value = parts.linear({ ...place, path: `${path}.attention.self.value` });
    this.#attention = parts.site({ ...place, kind: "attention", path: `${path}.attention.self`, role: "attention", dIn: d, dOut: d });
    const residual = (name: string, role: "attention" | "mlp"): Residual => ({
      site: parts.site({ ...place, kind: "residual", path: `${path}.${name}`, role, dIn: d, dOut: d }),
      norm: parts.site({ ...place, kind: "norm", path: `${path}.${name}.LayerNorm`, dIn: d, dOut: d }),
    });
    this.#afterAttention = residual("attention.output", "attention");
    this.#mlp = parts.site({ ...place, kind: "mlp", path: `${path}.mlp`, dIn: d, dOut: d });
    const site = parts.site({ ...place, kind: "activation", path: `${path}.intermediate.act`, dIn: dFf, dOut: dFf });
    this.#up = { linear: parts.linear({ ...place, path: `${path}.intermediate.dense`, role: "mlp-up" }), site, activation: "relu" };
    this.#down = parts.linear({ ...place, path: `${path}.output.dense`, role: "mlp-down" });
    this.#afterMlp = residual("output", "mlp");
  }

  /** x [batch, seq, dModel] → the next hidden states, and the activation [batch, seq, dFf] unless a wrapper passed the MLP over. */
  forward(x: ops.Tensor, mask: ops.Tensor, context: ForwardContext): { hidden: ops.Tensor; path: string; activation: ops.Tensor | undefined } {
    const query = this.#query.forward(x, context);
    const attended = this.#attention.run(
      { query, key: query, value: this.#value.forward(x, context), mask, heads: 2, scale: 1, causal: false, context },
      context,
      (input) => ops.attention(input.query, input.key, input.value, input),
    );
    const between = add(this.#afterAttention, attended, x, context);
    let activation: ops.Tensor | undefined;
    const mlp = this.#mlp.run(between, context, (input) => {
      activation = activatedLinear(this.#up, input, context);
      return this.#down.forward(activation, context);
    });
    return { hidden: add(this.#afterMlp, mlp, between, context), path: this.#up.site.path, activation };
  }
}

function add({ site, norm }: Residual, hidden: ops.Tensor, residual: ops.Tensor, context: ForwardContext): ops.Tensor {
  return norm.run(ops.add(site.run({ hidden, residual, normalize, context }, context, (input) => input.hidden), residual), context, normalize);
}
