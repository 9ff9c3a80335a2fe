import { BACKEND, definePlugin, STAGE, type Kernel, type Plugin } from "@deft-js/core";
import { cpuBackend } from "../backend/cpu.ts";
import { adamWContribution, OPTIMIZER } from "../stages/optimizer.ts";
import { evaluateContribution } from "../stages/evaluate.ts";
import { exportContribution } from "../stages/export.ts";
import { finetuneContribution } from "../stages/finetune.ts";
import { pretrainContribution } from "../stages/pretrain.ts";

const CORE = ">=0.1.0 <1.0.0";

/** What the composition root itself brings to every kernel: tfjs's `cpu` and AdamW. */
export const builtIn: Plugin = definePlugin({
  name: "@deft-js/run",
  version: "0.1.0",
  core: CORE,
  register(registry) {
    registry.add(BACKEND, { id: "cpu", summary: "tfjs in plain JavaScript: slow, and always there", create: cpuBackend });
    registry.add(OPTIMIZER, adamWContribution);
  },
});

/** The stages `finetune`, `pretrain`, `evaluate` and `export`: their options are made of what the kernel holds when they are asked for. */
export function builtInStages(kernel: Kernel): Plugin {
  return definePlugin({
    name: "@deft-js/run/stages",
    version: "0.1.0",
    core: CORE,
    register(registry) {
      for (const contribution of [finetuneContribution, pretrainContribution, evaluateContribution, exportContribution]) registry.add(STAGE, contribution(kernel));
    },
  });
}
