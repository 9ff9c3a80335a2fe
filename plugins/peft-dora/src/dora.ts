import { attachmentOf, targetLinears, type Attachment, type Model, type ops, type PeftMethod } from "@deft-js/core";
import { decompose, mergeDecomposition } from "./decomposition.ts";
import { peftLayout } from "./layout.ts";
import { doraOptions, type DoraOptions, type DoraSettings } from "./options.ts";

/**
 * DoRA: W′ = m∘V/‖V‖ with V = W + (α/r)·A·B, the norm of each column; magnitude m and direction update A, B are trained, W is frozen and the norm counts
 * as a constant in the gradient (Liu et al., 2024, arXiv:2402.09353, equations 5 and 11). The model computes what it did before until the first step.
 * @throws DeftError `options.invalid`; on attaching, `dora.target` when the target matches no linear layer
 */
export function dora(settings: DoraSettings = {}): PeftMethod {
  const options = doraOptions(settings);
  const method: PeftMethod = { id: "dora", options, attach: (model, rng) => attach(method, options, model, rng) };
  return method;
}

function attach(method: PeftMethod, options: DoraOptions, model: Model, rng: ops.Rng): Attachment {
  const decompositions = targetLinears(model, options.target, "dora").map((site) => decompose(site, options, rng));
  return attachmentOf({
    method,
    variables: decompositions.flatMap(({ down, up, magnitude }) => [down, up, magnitude]),
    undo: decompositions.map(({ undo }) => undo),
    fold: () => decompositions.forEach((one) => mergeDecomposition(model, one, options)),
    layouts: { peft: peftLayout(model, decompositions, options) },
  });
}
