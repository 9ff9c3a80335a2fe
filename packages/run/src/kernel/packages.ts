/** Which published package brings what, for the remedy of an unknown id. */
const PACKAGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "model-family": { bert: "model-bert", roberta: "model-bert", t5: "model-t5", mt5: "model-t5", opt: "model-opt" },
  "peft-method": { lora: "peft-lora", adapter: "peft-adapter", prompt: "peft-prompt", prefix: "peft-prefix", ia3: "peft-ia3", bitfit: "peft-bitfit", dora: "peft-dora", gates: "ada-deft" },
  "loss-term": { density: "density-loss", "gated-density": "ada-deft" },
  meter: { density: "density-loss", energy: "energy", gates: "ada-deft" },
  execution: { sparse: "sparse-execution", threshold: "sparse-execution", "top-k": "sparse-execution", "gate-threshold": "sparse-execution", predictor: "sparse-execution" },
  task: { glue: "task-glue", text: "task-text", squad: "task-squad" },
  "weight-format": { nf4: "quantization", fp4: "quantization", int8: "quantization" },
  "weight-layout": { bitsandbytes: "quantization" },
  stage: { quantize: "quantization", prune: "pruning", gate: "ada-deft" },
  reporter: { html: "report-html" },
  backend: { native: "backend-native", wasm: "backend-wasm", webgpu: "backend-webgpu", "node-gpu": "backend-node-gpu" },
};

/** What to do about an id that no installed plugin brings. */
export function packageHint(point: string, id: string): string {
  const known = PACKAGES[point];
  const name = known !== undefined && Object.hasOwn(known, id) ? known[id] : undefined;
  return name === undefined
    ? "correct its spelling, or install the plugin that brings it and name it under `plugins`"
    : `run \`npm install @deft-js/plugin-${name}\``;
}
