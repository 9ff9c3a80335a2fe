import type { EvaluationCompleted, RunEvent, StepCompleted } from "@deft-js/core";
import { RunRecorder, type RunRecord } from "../src/index.ts";

/** Shares of one layer: with padding a tenth less, above 0.01 half. */
export function shares(exact: number) {
  return { exact, exactIncludingPadding: 0.9 * exact, thresholded: [{ threshold: 0.01, share: exact / 2, shareIncludingPadding: 0.45 * exact }] };
}

/** A density report as the meter makes it, from each layer's exact density. */
export function densityReport(encoder: readonly number[], decoder: readonly number[] = []): Record<string, unknown> {
  const layers = [...encoder.map((exact, layer) => ({ stack: "encoder", layer, path: `encoder.${layer}`, ...shares(exact) })), ...decoder.map((exact, layer) => ({ stack: "decoder", layer, path: `decoder.${layer}`, ...shares(exact) }))];
  const mean = (values: readonly number[]) => (values.length === 0 ? null : shares(values.reduce((a, b) => a + b, 0) / values.length));
  return { examples: 8, layers, encoder: mean(encoder), decoder: mean(decoder), padding: { positions: 80, padded: 8 } };
}

/** What the gates meter reads of an encoder, layer by layer; the layers named are skipped. */
export function readings(gates: readonly number[], skipped: readonly number[] = []) {
  return gates.map((gate, layer) => ({ path: `encoder.layer.${layer}`, stack: "encoder", layer, gate, skipped: skipped.includes(layer) }));
}

/** An energy report of two layers, of which the zero-skipping machine does half and three quarters, of all of it the given part. */
export function energyReport(part = 1.35 / 2.1): Record<string, unknown> {
  const compared = (dense: number, zeroSkipping: number) => ({ dense, zeroSkipping, skipped: dense - zeroSkipping, ratio: zeroSkipping / dense });
  const operations = (dense: number, part: number) => ({ macs: compared(dense, part * dense), bytes: compared(4 * dense, 4 * part * dense), picojoules: compared(100 * dense, 100 * part * dense) });
  return {
    forwards: 2, constants: { source: "a paper", multiply: 3.7, add: 0.9, dram: 640 }, linears: [],
    layers: [{ stack: "encoder", layer: 0, ...operations(1e6, 0.5) }, { stack: "encoder", layer: 1, ...operations(1e6, 0.75) }, { stack: "encoder", layer: null, ...operations(1e5, 1) }],
    total: operations(2.1e6, part),
  };
}

export function step(n: number, terms: Record<string, number>, weights: Record<string, number> = Object.fromEntries(Object.keys(terms).map((name) => [name, 1]))): StepCompleted {
  const loss = Object.entries(terms).reduce((sum, [name, value]) => sum + value * (weights[name] ?? 0), 0);
  return { type: "step.completed", time: 1000 + n, step: n, totalSteps: 4, epoch: 0, learningRate: 1e-3, loss, terms, weights, gradientNorm: 1, tokens: 64, milliseconds: 10, tensors: 9 };
}

export function evaluation(at: number, metrics: Record<string, number>, reports: EvaluationCompleted["reports"] = {}, split = "dev"): EvaluationCompleted {
  return { type: "evaluation.completed", time: 2000 + at, step: at, split, examples: 8, metrics, reports };
}

export const training: RunEvent = {
  type: "training.started", time: 1000, totalSteps: 4, epochs: 1, trainableParameters: 26, totalParameters: 1026,
  trainable: [0, 1].map((layer) => ({ path: `encoder.layer.${layer}.query.lora_A`, shape: [4, 3] })).concat([{ path: "head.bias", shape: [2] }]),
};

export function stageStarted(stage: string, index: number): RunEvent {
  return { type: "stage.started", time: 900 + index, stage, index, of: 4 };
}

export function stageCompleted(stage: string, index: number, metrics: unknown = {}): RunEvent {
  return { type: "stage.completed", time: 3000 + index, stage, index, metrics };
}

export const started: RunEvent = { type: "run.started", time: 0, seed: 7, backend: "native", folder: "runs/a", versions: { node: "22.1.0", "@deft-js/core": "0.1.0" } };
export const completed: RunEvent = { type: "run.completed", time: 5000, metrics: {} };

/** Evaluated, trained for four steps with two evaluations, its blocks gated, and evaluated again. */
export const WHOLE: readonly RunEvent[] = [
  started,
  stageStarted("evaluate", 0),
  evaluation(0, { accuracy: 0.5, loss: 0.7 }, { density: densityReport([0.8, 0.6]) }),
  stageCompleted("evaluate", 0),
  stageStarted("finetune", 1),
  training,
  step(1, { task: 0.8, "gated-density": 0.4 }, { task: 1, "gated-density": 0.5 }),
  step(2, { task: 0.6, "gated-density": 0.3 }, { task: 1, "gated-density": 0.5 }),
  evaluation(2, { accuracy: 0.75, loss: 0.5 }, { density: densityReport([0.4, 0.3]), gates: { layers: readings([0.9, 0.5]) } }),
  step(3, { task: 0.4, "gated-density": 0.2 }, { task: 1, "gated-density": 0.5 }),
  step(4, { task: 0.2, "gated-density": 0.1 }, { task: 1, "gated-density": 0.5 }),
  evaluation(4, { accuracy: 1, loss: 0.25 }, { density: densityReport([0.2, 0.1]), gates: { layers: readings([0.95, 0.04]) } }),
  stageCompleted("finetune", 1, { finetune: { steps: 4, keptStep: 4 } }),
  stageStarted("gate", 2),
  stageCompleted("gate", 2, { gate: { strategy: "sigmoid", skipped: 1, of: 2, threshold: 0.05, blocks: readings([0.95, 0.04], [1]) } }),
  stageStarted("evaluate", 3),
  evaluation(0, { accuracy: 0.875, loss: 0.3 }, { density: densityReport([0.2, 0.15]), gates: { layers: readings([0.95, 0], [1]) }, energy: energyReport() as never }),
  stageCompleted("evaluate", 3),
  completed,
];

export function recordOf(events: readonly RunEvent[], { name, peft, folder }: { name?: string; peft?: unknown; folder?: string } = {}): RunRecord {
  const recorder = new RunRecorder({ folder, recipe: name === undefined ? undefined : { text: `name: ${name}\n`, content: { name, stages: [{ finetune: { peft } }] } } });
  for (const event of events) recorder.add(event);
  return recorder.record();
}
