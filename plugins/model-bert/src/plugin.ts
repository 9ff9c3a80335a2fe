import { definePlugin, MODEL_FAMILY } from "@deft-js/core";
import { bertFamily } from "./family.ts";

/** BERT and RoBERTa for the kernel. */
export default definePlugin({
  name: "@deft-js/plugin-model-bert",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  register: (registry) => registry.add(MODEL_FAMILY, { id: bertFamily.id, summary: "BERT and RoBERTa encoders with classification and masked-language-model heads", create: () => bertFamily }),
});
