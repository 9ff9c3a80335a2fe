import type { Model } from "../contracts/model.ts";
import type { Site, SiteKind } from "../contracts/site.ts";

/** The sites of one MLP block: down(f(up(x))), or down(f(gate(x))·up(x)) where it is gated. */
export interface MlpBlock {
  readonly stack: "encoder" | "decoder";
  readonly layer: number;
  readonly mlp: Site<"mlp">;
  /** f; in a gated block on the gate's output. */
  readonly activation: Site<"activation">;
  readonly up: Site<"linear">;
  readonly gate?: Site<"linear"> | undefined;
  readonly down: Site<"linear">;
}

/** A model's MLP blocks, encoder first, by layer; a block whose linear sites carry no role is left out. */
export function mlpBlocks(model: Pick<Model, "sites">): readonly MlpBlock[] {
  const activations = model.sites("activation");
  return activations.flatMap((activation) => {
    const { stack, layer } = activation;
    const here = <K extends SiteKind>(kind: K, role?: Site["role"]): Site<K> | undefined => model.sites(kind).find((site) => site.stack === stack && site.layer === layer && (role === undefined || site.role === role));
    const [mlp, up, gate, down] = [here("mlp"), here("linear", "mlp-up"), here("linear", "mlp-gate"), here("linear", "mlp-down")];
    return layer === undefined || mlp === undefined || up === undefined || down === undefined ? [] : [{ stack, layer, mlp, activation, up, gate, down }];
  });
}
