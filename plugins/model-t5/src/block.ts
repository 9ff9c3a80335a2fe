import { contextDropout, ops, type ForwardContext, type KeyValueCache, type ModelParts, type ResidualInput, type SitePoint } from "@deft-js/core";
import { Attention, type AttentionReads } from "./attention.ts";
import type { T5Config } from "./config.ts";
import { FeedForward, type Intermediate } from "./feed-forward.ts";
import { rmsNorm, type Norm } from "./norm.ts";
import type { StackName } from "./parameters.ts";

/** What a block reads besides the hidden states. */
export interface BlockReads {
  readonly self: AttentionReads;
  /** The encoder's output, for a decoder's blocks. */
  readonly cross?: AttentionReads | undefined;
}

/** The caches of one decoder block. */
export interface BlockCache {
  readonly self: KeyValueCache;
  readonly cross: KeyValueCache;
}

/** What stands around a sublayer: y = x + site(drop(sublayer(norm(x)))). */
interface Sublayer {
  readonly norm: Norm;
  readonly site: SitePoint<"residual">;
}

const identity: ResidualInput["normalize"] = (x) => x;

/** One pre-norm block: self-attention, in a decoder cross-attention, then the MLP (Raffel et al., 2020). */
export class Block {
  readonly #config: T5Config;
  readonly #aroundSelf: Sublayer;
  readonly #self: Attention;
  readonly #aroundCross: Sublayer | undefined;
  readonly #cross: Attention | undefined;
  readonly #aroundMlp: Sublayer;
  readonly #mlp: FeedForward;

  constructor(parts: ModelParts, config: T5Config, stack: StackName, layer: number) {
    const path = `${stack}.block.${layer}.layer`;
    const place = { stack, layer } as const;
    const { dModel: d } = config;
    const around = (at: number, role: "attention" | "cross-attention" | "mlp"): Sublayer => ({
      norm: rmsNorm(parts, config, `${path}.${at}.layer_norm`),
      site: parts.site({ ...place, kind: "residual", path: `${path}.${at}`, role, dIn: d, dOut: d }),
    });
    this.#config = config;
    this.#self = new Attention(parts, config, { ...place, path: `${path}.0.SelfAttention`, role: "attention" });
    this.#aroundSelf = around(0, "attention");
    if (stack === "decoder") {
      this.#cross = new Attention(parts, config, { ...place, path: `${path}.1.EncDecAttention`, role: "cross-attention" });
      this.#aroundCross = around(1, "cross-attention");
    }
    const last = stack === "decoder" ? 2 : 1;
    this.#mlp = new FeedForward(parts, config, { ...place, path: `${path}.${last}.DenseReluDense` });
    this.#aroundMlp = around(last, "mlp");
  }

  /** The path of the activation site. */
  get activationPath(): string {
    return this.#mlp.activationPath;
  }

  /** x [batch, seq, dModel] → the next hidden states and what the MLP made. */
  forward(x: ops.Tensor, { self, cross }: BlockReads, context: ForwardContext): Intermediate & { readonly hidden: ops.Tensor } {
    let hidden = this.#add(this.#aroundSelf, x, (input) => this.#self.forward(input, self, context), context);
    const attention = this.#cross;
    if (attention !== undefined && this.#aroundCross !== undefined && cross !== undefined)
      hidden = this.#add(this.#aroundCross, hidden, (input) => attention.forward(input, cross, context), context);
    let made: Intermediate = {};
    hidden = this.#add(this.#aroundMlp, hidden, (input) => {
      const { hidden: output, ...intermediate } = this.#mlp.forward(input, context);
      made = intermediate;
      return output;
    }, context);
    return { hidden, ...made };
  }

  #add({ norm, site }: Sublayer, residual: ops.Tensor, sublayer: (x: ops.Tensor) => ops.Tensor, context: ForwardContext): ops.Tensor {
    const hidden = contextDropout(sublayer(norm(residual)), this.#config.dropout, context);
    return ops.add(residual, site.run({ hidden, residual, normalize: identity, context }, context, (input) => input.hidden));
  }
}
