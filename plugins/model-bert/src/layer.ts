import { activatedLinear, attend, contextDropout, layerNormSite, type ActivatedLinear, type AttentionInput, type ForwardContext, type LayerNorm, type LayerOutput, type LinearSite, type ModelParts, type ops, type SitePoint } from "@deft-js/core";
import type { BertConfig } from "./config.ts";

/** What follows a sublayer: y = LN(site(drop(h)) + x). */
interface Residual {
  readonly site: SitePoint<"residual">;
  readonly norm: LayerNorm;
}

/** One post-LN encoder layer: x ← LN(x + attention(x)), then x ← LN(x + mlp(x)) (Devlin et al., 2019). */
export class EncoderLayer {
  readonly #config: BertConfig;
  readonly #query: LinearSite;
  readonly #key: LinearSite;
  readonly #value: LinearSite;
  readonly #attention: SitePoint<"attention">;
  readonly #output: LinearSite;
  readonly #afterAttention: Residual;
  readonly #mlp: SitePoint<"mlp">;
  readonly #up: ActivatedLinear;
  readonly #down: LinearSite;
  readonly #afterMlp: Residual;

  constructor(parts: ModelParts, config: BertConfig, layer: number) {
    const path = `${config.modelType}.encoder.layer.${layer}`;
    const { hiddenSize: d, intermediateSize: f, activation } = config;
    const place = { stack: "encoder", layer } as const;
    const linear = (name: string, role?: "mlp-up" | "mlp-down"): LinearSite => parts.linear({ ...place, path: `${path}.${name}`, role });
    const residual = (name: string, role: "attention" | "mlp"): Residual => ({
      site: parts.site({ ...place, kind: "residual", path: `${path}.${name}`, role, dIn: d, dOut: d }),
      norm: layerNormSite(parts, { ...place, path: `${path}.${name}.LayerNorm` }, config.layerNormEpsilon),
    });
    this.#config = config;
    this.#query = linear("attention.self.query");
    this.#key = linear("attention.self.key");
    this.#value = linear("attention.self.value");
    this.#attention = parts.site({ ...place, kind: "attention", path: `${path}.attention.self`, role: "attention", dIn: d, dOut: d });
    this.#output = linear("attention.output.dense");
    this.#afterAttention = residual("attention.output", "attention");
    this.#mlp = parts.site({ ...place, kind: "mlp", path: `${path}.mlp`, dIn: d, dOut: d });
    const up = linear("intermediate.dense", "mlp-up");
    const site = parts.site({ ...place, kind: "activation", path: `${path}.intermediate.intermediate_act_fn`, dIn: f, dOut: f });
    this.#up = { linear: up, site, activation };
    this.#down = linear("output.dense", "mlp-down");
    this.#afterMlp = residual("output", "mlp");
  }

  /** The path of the activation site. */
  get activationPath(): string {
    return this.#up.site.path;
  }

  /**
   * @param x [batch, seq, dModel]
   * @param mask [batch, seq], 1 = attend
   */
  forward(x: ops.Tensor, mask: ops.Tensor, context: ForwardContext): LayerOutput {
    const attended = this.#add(this.#afterAttention, this.#attend(x, mask, context), x, context);
    let activation: ops.Tensor | undefined;
    const mlp = this.#mlp.run(attended, context, (input) => {
      activation = activatedLinear(this.#up, input, context); // [batch, seq, dFf]
      return this.#down.forward(activation, context);
    });
    return { hidden: this.#add(this.#afterMlp, mlp, attended, context), activation };
  }

  #attend(x: ops.Tensor, mask: ops.Tensor, context: ForwardContext): ops.Tensor {
    const { heads, hiddenSize, attentionDropout } = this.#config;
    const input: AttentionInput = {
      query: this.#query.forward(x, context),
      key: this.#key.forward(x, context),
      value: this.#value.forward(x, context),
      mask,
      heads,
      scale: 1 / Math.sqrt(hiddenSize / heads),
      causal: false,
      context,
    };
    const attended = this.#attention.run(input, context, (i) => attend(i, attentionDropout));
    return this.#output.forward(attended, context);
  }

  #add({ site, norm }: Residual, sublayer: ops.Tensor, residual: ops.Tensor, context: ForwardContext): ops.Tensor {
    const hidden = contextDropout(sublayer, this.#config.hiddenDropout, context);
    return norm(site.run({ hidden, residual, normalize: (x) => norm(x, context), context }, context, (input) => input.hidden), context, residual);
  }
}
