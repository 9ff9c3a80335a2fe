import { activatedLinear, attend, contextDropout, ops, type ActivatedLinear, type ForwardContext, type KeyValueCache, type LayerNorm, type LayerOutput, type LinearSite, type ModelParts, type SitePoint } from "@deft-js/core";
import type { OptConfig } from "./config.ts";
import { layerNorm } from "./norm.ts";
import { DECODER } from "./parameters.ts";

/** A sublayer's norm and the site of what it adds to the residual stream. */
interface Sublayer {
  readonly norm: LayerNorm;
  readonly site: SitePoint<"residual">;
}

/**
 * One decoder layer (Zhang et al., 2022, arXiv:2205.01068): x ← x + attention(LN(x)), then x ← x + mlp(LN(x)); with the norms
 * after the sums, x ← LN(x + attention(x)) and x ← LN(x + mlp(x)), where the configuration says so.
 */
export class DecoderLayer {
  readonly #config: OptConfig;
  readonly #query: LinearSite;
  readonly #key: LinearSite;
  readonly #value: LinearSite;
  readonly #attention: SitePoint<"attention">;
  readonly #output: LinearSite;
  readonly #aroundAttention: Sublayer;
  readonly #mlp: SitePoint<"mlp">;
  readonly #up: ActivatedLinear;
  readonly #down: LinearSite;
  readonly #aroundMlp: Sublayer;

  constructor(parts: ModelParts, config: OptConfig, layer: number) {
    const path = `${DECODER}.layers.${layer}`;
    const { hiddenSize: d, ffnDim: f, activation } = config;
    const place = { stack: "decoder", layer } as const;
    const linear = (name: string, role?: "mlp-up" | "mlp-down"): LinearSite => parts.linear({ ...place, path: `${path}.${name}`, role });
    const sublayer = (name: string, norm: string, role: "attention" | "mlp"): Sublayer => ({
      norm: layerNorm(parts, { path: `${path}.${norm}`, layer }),
      site: parts.site({ ...place, kind: "residual", path: `${path}.${name}`, role, dIn: d, dOut: d }),
    });
    this.#config = config;
    this.#query = linear("self_attn.q_proj");
    this.#key = linear("self_attn.k_proj");
    this.#value = linear("self_attn.v_proj");
    this.#attention = parts.site({ ...place, kind: "attention", path: `${path}.self_attn`, role: "attention", dIn: d, dOut: d });
    this.#output = linear("self_attn.out_proj");
    this.#aroundAttention = sublayer("self_attn", "self_attn_layer_norm", "attention");
    this.#mlp = parts.site({ ...place, kind: "mlp", path: `${path}.mlp`, dIn: d, dOut: d });
    const up = linear("fc1", "mlp-up");
    const site = parts.site({ ...place, kind: "activation", path: `${path}.activation_fn`, dIn: f, dOut: f });
    this.#up = { linear: up, site, activation };
    this.#down = linear("fc2", "mlp-down");
    this.#aroundMlp = sublayer("mlp", "final_layer_norm", "mlp");
  }

  /** The path of the activation site. */
  get activationPath(): string {
    return this.#up.site.path;
  }

  /**
   * @param x [batch, seq, dModel]
   * @param mask [batch, past + seq], 1 = attend
   * @param cache what the layer made for the past positions; extended by these
   */
  forward(x: ops.Tensor, mask: ops.Tensor, context: ForwardContext, cache?: KeyValueCache): LayerOutput {
    const attended = this.#around(this.#aroundAttention, x, context, (input) => this.#attend(input, mask, context, cache));
    let activation: ops.Tensor | undefined;
    const hidden = this.#around(this.#aroundMlp, attended, context, (input) =>
      this.#mlp.run(input, context, (inner) => {
        activation = activatedLinear(this.#up, inner, context); // [batch, seq, dFf]
        return this.#down.forward(activation, context);
      }),
    );
    return { hidden, activation };
  }

  /** x + drop(f(LN(x))), or LN(x + drop(f(x))), with the residual site around what is added. */
  #around({ norm, site }: Sublayer, x: ops.Tensor, context: ForwardContext, f: (input: ops.Tensor) => ops.Tensor): ops.Tensor {
    const { normBefore, dropout } = this.#config;
    const hidden = contextDropout(f(normBefore ? norm(x, context) : x), dropout, context);
    const added = site.run({ hidden, residual: x, normalize: (y) => (normBefore ? y : norm(y, context)), context }, context, (input) => input.hidden);
    return normBefore ? ops.add(x, added) : norm(added, context, x);
  }

  /** The scores are scaled in the product of q and k, where transformers scales q: the same but for rounding. */
  #attend(x: ops.Tensor, mask: ops.Tensor, context: ForwardContext, cache: KeyValueCache | undefined): ops.Tensor {
    const { heads, hiddenSize, attentionDropout } = this.#config;
    const query = this.#query.forward(x, context);
    const own = { key: this.#key.forward(x, context), value: this.#value.forward(x, context) };
    const { key, value } = cache?.append(own) ?? own;
    const scale = 1 / Math.sqrt(hiddenSize / heads);
    const attended = this.#attention.run({ query, key, value, mask, heads, scale, causal: true, context }, context, (input) => attend(input, attentionDropout));
    return this.#output.forward(attended, context);
  }
}
