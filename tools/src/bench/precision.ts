/**
 * `npx tsx … tools/src/bench/precision.ts [MODEL_FOLDER]`: the native back-end with frozen weights in bfloat16 against float32, for a
 * pretrained BERT folder or, without one, BERT base with random weights: the logits of one batch, its loss and LoRA's gradients.
 */
import { batchTensors, MODEL_FAMILY, ops, PEFT_METHOD, type HostBatch, type Kernel, type Model } from "@deft-js/core";
import { loadModel } from "@deft-js/run";
import { startKernel } from "../kernel.ts";
import { SIZES } from "./cases.ts";

const [SIZE, SEQ] = [16, 64];

async function modelOf(kernel: Kernel, folder: string | undefined): Promise<Model> {
  if (folder !== undefined) return (await loadModel(folder, { kernel, head: "sequence-classification", labels: 2 })).model;
  return kernel.create(MODEL_FAMILY, "bert").build({ config: SIZES["bert-base"], head: "sequence-classification", labels: 2, rng: new ops.Rng(0) });
}

function batchOf(): HostBatch {
  const rng = new ops.Rng(1);
  return {
    size: SIZE, seq: SEQ, inputIds: Int32Array.from({ length: SIZE * SEQ }, () => 1000 + rng.integer(29_000)), attentionMask: new Float32Array(SIZE * SEQ).fill(1),
    labels: Int32Array.from({ length: SIZE }, (_, i) => i % 2),
  };
}

/** Logits, loss, and all gradients one after the other. */
async function measured(precision: string, folder: string | undefined): Promise<Float32Array[]> {
  const { kernel } = await startKernel("native", { precision });
  const model = await modelOf(kernel, folder);
  for (const variable of model.parameters().values()) variable.trainable = false;
  const { variables } = kernel.create(PEFT_METHOD, "lora", { rank: 8, alpha: 16 }).attach(model, new ops.Rng(2));
  const rng = new ops.Rng(3); // the up-projections start at zero, which would leave the down-projections without a gradient
  for (const variable of variables) variable.load(rng.normals(variable.size, 0.02));
  return ops.scope(() => {
    const batch = batchTensors(batchOf());
    let logits: ops.Tensor | undefined;
    const { value, gradients } = ops.valueAndGradients(() => {
      const result = model.forward(batch);
      logits = result.logits;
      return model.loss(result, batch);
    }, variables);
    const flat = ops.concat(variables.map((variable) => ops.reshape(gradients.get(variable.path) as ops.Tensor, [variable.size])), 0);
    return [logits as ops.Tensor, value, flat].map((tensor) => ops.read(tensor));
  });
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

const folder = process.argv[2];
const [exact, rounded] = [await measured("f32", folder), await measured("bf16", folder)];
const errors = exact.map((values, i) => {
  const difference = values.map((v, j) => v - (rounded[i]?.[j] as number));
  return { relativeL2: norm(difference) / norm(values), largest: difference.reduce((most, v) => Math.max(most, Math.abs(v)), 0) };
});
for (const [i, name] of ["logits", "loss", "gradients"].entries()) console.log(name.padEnd(10), `relative L2 ${errors[i]?.relativeL2.toExponential(2)}  largest difference ${errors[i]?.largest.toExponential(2)}`);
