import { DeftError, ops, transposeMatrix, type Artifact, type Attachment, type Model, type WeightFormat } from "@deft-js/core";
import { layoutsOf } from "../adapter/save.ts";
import { encodings } from "./encodings.ts";

/** What becomes of weights that are not dense when something is merged into them: float32 matrices, or encoded again. */
export type MergeInto = "dense" | "held";

/** How far merged matrices moved by being encoded again, over all of them: the largest and the root mean square difference. */
export interface MergeDrift {
  readonly layers: number;
  readonly max: number;
  readonly rms: number;
}

/**
 * Folds every attachment into the base weights. Where these are in a format other than dense, what is to become of them must be said: `dense` keeps the merged
 * matrices exactly, in float32; `held` encodes them again as the weights before were, which moves them by the drift that is reported.
 * @throws DeftError `export.merge` when a method cannot be merged, `export.base` when it must be said and is not
 */
export function mergeAll(artifact: Artifact, into?: MergeInto): { readonly artifact: Artifact; readonly drift?: MergeDrift } {
  const { model, attachments } = artifact;
  const stuck = attachments.find(({ merge }) => merge === undefined);
  if (stuck !== undefined) throw new DeftError("export.merge", `export: layout model merges what is attached, got ${stuck.method.id}, which cannot be merged. Export it in layout ${layoutsOf(stuck).join(" or ")}.`);
  const before = encodings(model);
  const formats = [...new Set([...before.values()].map(({ id }) => id))].join(", ");
  if (attachments.length > 0 && before.size > 0 && into === undefined)
    throw new DeftError("export.base", `export: merging into weights held as ${formats} must be explicit, got no \`base\`. Say base: dense (float32, exact) or base: held (encoded again, with the drift reported).`);
  mergeInOrder(attachments);
  const merged = { ...artifact, attachments: [] };
  return into === "held" && attachments.length > 0 && before.size > 0 ? { artifact: merged, drift: encodeAgain(model, before) } : { artifact: merged };
}

/** Innermost first: what stands around it acts on what it makes. */
function mergeInOrder(attachments: readonly Attachment[]): void {
  const merged: string[] = [];
  for (const attachment of attachments) {
    const { id } = attachment.method;
    try {
      attachment.merge?.();
    } catch (cause) {
      if (merged.length === 0) throw cause; // nothing has changed
      throw new DeftError("export.merge", `export: ${id} must merge, got ${cause instanceof Error ? cause.message : String(cause)} The model has ${merged.join(", ")} in its weights already. Load it again, and leave ${id} out.`, { cause });
    }
    merged.push(id);
  }
}

/** Encodes the matrices that merging made dense. */
function encodeAgain(model: Model, before: ReadonlyMap<string, WeightFormat>): MergeDrift {
  let [layers, count, max, squares] = [0, 0, 0, 0];
  for (const { path, weight } of model.sites("linear")) {
    const format = before.get(path);
    if (format === undefined || weight === undefined || weight.encoding !== undefined) continue;
    const [dIn, dOut] = weight.shape;
    const exact = ops.scope(() => ops.read(weight.dense())); // [dIn, dOut]
    const next = format.encode(path, transposeMatrix(exact, dIn, dOut), { dOut, dIn });
    const held = ops.scope(() => ops.read(next.dense()));
    model.replaceWeight(path, next);
    for (const [i, value] of held.entries()) {
      const difference = Math.abs(value - (exact[i] as number));
      max = Math.max(max, difference);
      squares += difference * difference;
    }
    layers++;
    count += held.length;
  }
  return { layers, max, rms: count === 0 ? 0 : Math.sqrt(squares / count) };
}
