import { attachmentOf, targetLinears, type Attachment, type Model, type ops, type PeftMethod } from "@deft-js/core";
import { addBranch, mergeBranch } from "./branch.ts";
import { adapterHubLayout, peftLayout } from "./layouts.ts";
import { loraOptions, type LoraOptions, type LoraSettings } from "./options.ts";

/**
 * LoRA: y = x·W + b + (α/r)·(dropout(x)·A)·B with A [dIn, r] and B [r, dOut] trained and W frozen (Hu et al., 2021,
 * arXiv:2106.09685). The model computes what it did before until the first step, since B starts at zero.
 * @throws DeftError `options.invalid`; on attaching, `lora.target` when the target matches no linear layer
 */
export function lora(settings: LoraSettings = {}): PeftMethod {
  const options = loraOptions(settings);
  const method: PeftMethod = { id: "lora", options, attach: (model, rng) => attach(method, options, model, rng) };
  return method;
}

function attach(method: PeftMethod, options: LoraOptions, model: Model, rng: ops.Rng): Attachment {
  const branches = targetLinears(model, options.target, "lora").map((site) => addBranch(site, options, rng));
  const adapterhub = adapterHubLayout(model, branches, options);
  return attachmentOf({
    method,
    variables: branches.flatMap(({ down, up }) => [down, up]),
    undo: branches.map(({ undo }) => undo),
    fold: () => branches.forEach((branch) => mergeBranch(model, branch, options)),
    layouts: { peft: peftLayout(model, branches, options), ...(adapterhub === undefined ? {} : { adapterhub }) },
  });
}
