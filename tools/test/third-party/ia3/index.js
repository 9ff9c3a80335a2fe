// (IA)³, Liu et al. 2022 (arXiv:2205.05638): a learned vector scales the outputs of some linear layers. Written against the
// public contracts alone, as somebody outside the toolkit would.
import { attachmentOf, DeftError, definePlugin, ops, PEFT_METHOD } from "@deft-js/core";
import { z } from "zod";

const options = z.strictObject({ target: z.string().default(String.raw`attention\.self\.(key|value)$`) });

function attach(method, model) {
  const sites = model.sites("linear", new RegExp(method.options.target));
  if (sites.length === 0) throw new DeftError("ia3.target", `ia3: target must match a linear layer, got ${method.options.target}. Correct it.`);
  const variables = sites.map((site) => new ops.Variable(`${site.path}.ia3_l`, ops.ones([site.dOut])));
  const undo = sites.map((site, i) => site.wrap((x, base) => ops.mul(base(x), variables[i].value)));
  return attachmentOf({ method, variables, undo });
}

export default definePlugin({
  name: "acme-ia3",
  version: "1.0.0",
  core: ">=0.1.0 <1.0.0",
  register(registry) {
    registry.add(PEFT_METHOD, {
      id: "ia3",
      summary: "Learned scales of keys and values (arXiv:2205.05638)",
      options,
      create(given) {
        const method = { id: "ia3", options: given, attach: (model) => attach(method, model) };
        return method;
      },
    });
  },
});
