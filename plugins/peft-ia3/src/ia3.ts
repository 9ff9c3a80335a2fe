import { attachmentOf, targetLinears, type Attachment, type Model, type PeftMethod } from "@deft-js/core";
import { peftLayout } from "./layout.ts";
import { ia3Options, type Ia3Options, type Ia3Settings } from "./options.ts";
import { addScale, mergeScale } from "./scale.ts";

/**
 * IA3: keys, values and the MLP's activation are multiplied by learned vectors, l∘(x·W + b) and (l∘a)·W₂ + b₂; W stays frozen (Liu et al., 2022,
 * arXiv:2205.05638, section 3.3). The model computes what it did before until the first step, since l starts at one.
 * @throws DeftError `options.invalid`; on attaching, `ia3.target` when the target matches no linear layer
 */
export function ia3(settings: Ia3Settings = {}): PeftMethod {
  const options = ia3Options(settings);
  const method: PeftMethod = { id: "ia3", options, attach: (model) => attach(method, options, model) };
  return method;
}

function attach(method: PeftMethod, options: Ia3Options, model: Model): Attachment {
  const feedforward = new RegExp(options.feedforward);
  const scales = targetLinears(model, options.target, "ia3").map((site) => addScale(site, feedforward.test(site.path)));
  return attachmentOf({
    method,
    variables: scales.map(({ vector }) => vector),
    undo: scales.map(({ undo }) => undo),
    fold: () => scales.forEach((scale) => mergeScale(model, scale)),
    layouts: { peft: peftLayout(model, scales, options) },
  });
}
