import { embedding, linear, mean, mul, Rng, scope, square, Variable } from "@deft-js/tensor";
import type { CheckpointStore, HostBatch, LossTerm, Meter, Model, OpenTask, Predictions, RunCommand, RunEvent, Split, TrainingState } from "../src/index.ts";
import { classificationLoss, contextDropout, evaluationContext, RunStream } from "../src/index.ts";

/** A model of one frozen embedding, dropout, and a trainable linear layer over the mean of the rows. */
export interface Stub extends Model {
  readonly table: Variable;
  readonly weight: Variable;
  readonly bias: Variable;
}

/** With `identity`, the table is the unit matrix: one id gives logits W[id] + b. */
export function stubModel(options: { vocabulary?: number; labels?: number; dropout?: number; identity?: boolean; seed?: number } = {}): Stub {
  const { vocabulary = 4, labels = 2, dropout = 0, identity = false, seed = 1 } = options;
  const rng = new Rng(seed);
  const unit = Float32Array.from({ length: vocabulary ** 2 }, (_, i) => (i % (vocabulary + 1) === 0 ? 1 : 0));
  const table = Variable.from("table", identity ? unit : rng.normals(vocabulary ** 2, 1), [vocabulary, vocabulary], { trainable: false });
  const weight = Variable.from("weight", identity ? new Float32Array(vocabulary * labels) : rng.normals(vocabulary * labels, 0.1), [vocabulary, labels], { trainable: false });
  const bias = Variable.from("bias", new Float32Array(labels), [labels], { trainable: false });
  const all = [table, weight, bias];
  return {
    family: "stub", config: {}, head: "sequence-classification", table, weight, bias,
    sites: () => [],
    forward(batch, taps = {}, context = evaluationContext) {
      const rows = embedding(table.value, batch.inputIds); // [batch, seq, vocabulary]
      const hidden = contextDropout(mean(rows, { axes: [1] }), dropout, context); // [batch, vocabulary]
      const value = mul(rows, rows);
      taps.observe?.({ path: "stub.act", stack: "encoder", layer: 0, value, mask: batch.attentionMask });
      return { logits: linear(hidden, weight.value, { bias: bias.value }), activations: [{ path: "stub.act", stack: "encoder", layer: 0, value, mask: batch.attentionMask }], hiddenStates: [] };
    },
    loss: (result, batch) => classificationLoss(result.logits, batch),
    parameters: () => new Map(all.map((variable) => [variable.path, variable])),
    headParameters: () => [weight, bias],
    exportParameters: () => [],
    replaceWeight: () => undefined,
    dispose: () => all.forEach((variable) => variable.dispose()),
  };
}

/** Examples of one or more ids with a class each. */
export function stubSplit(name: string, examples: readonly { ids: readonly number[]; label: number }[]): Split {
  return {
    name,
    size: examples.length,
    *batches({ batchSize, order, skip = 0 }) {
      const at = order === undefined ? examples.map((_, i) => i) : [...order.permutation(examples.length)];
      for (let i = skip * batchSize; i < at.length; i += batchSize) yield hostBatch(at.slice(i, i + batchSize).map((n) => examples[n]!));
    },
  };
}

export function hostBatch(rows: readonly { ids: readonly number[]; label: number }[]): HostBatch {
  const seq = Math.max(...rows.map((row) => row.ids.length));
  const padded = rows.flatMap((row) => [...row.ids, ...Array<number>(seq - row.ids.length).fill(0)]);
  const mask = rows.flatMap((row) => Array.from({ length: seq }, (_, i) => (i < row.ids.length ? 1 : 0)));
  return { size: rows.length, seq, inputIds: Int32Array.from(padded), attentionMask: Float32Array.from(mask), labels: Int32Array.from(rows.map((row) => row.label)) };
}

/** `n` examples of two ids; the class is that of the first. */
export function stubTask(n = 10, devSizes: readonly number[] = [6]): OpenTask {
  const rng = new Rng(99);
  const rows = (count: number) => Array.from({ length: count }, () => [rng.integer(4), rng.integer(4)]).map((ids) => ({ ids, label: ids[0]! < 2 ? 0 : 1 }));
  return { train: stubSplit("train", rows(n)), evaluation: devSizes.map((size, i) => stubSplit(i === 0 ? "dev" : `dev-${i + 1}`, rows(size))), labels: ["low", "high"] };
}

export function accuracy({ logits, width, labels }: Predictions): Record<string, number> {
  const hits = labels.reduce((sum, label, row) => {
    const of = [...logits.slice(row * width, (row + 1) * width)];
    return sum + (of.indexOf(Math.max(...of)) === label ? 1 : 0);
  }, 0);
  return { accuracy: hits / labels.length };
}

/** mean W², as a term of the objective. */
export function decay(model: Stub, weightAt: LossTerm["weightAt"]): LossTerm {
  return { name: "decay", taps: {}, weightAt, compute: () => mean(square(model.weight.value)) };
}

/** Counts passes and elements of activations. */
export function countingMeter(): Meter {
  let seen = 0;
  return { id: "count", taps: { activations: true }, add: (forward) => scope(() => void (seen += forward.activations[0]!.value.size)), report: () => ({ seen }), reset: () => void (seen = 0) };
}

export function memoryStore(): CheckpointStore & { readonly states: Map<string, string>; readonly saves: string[] } {
  const states = new Map<string, string>();
  const saves: string[] = [];
  return {
    states, saves,
    async save(kind, state) {
      states.set(kind, JSON.stringify(state, (_key, value: unknown) => (value instanceof Float32Array ? { f32: [...value] } : value)));
      saves.push(`${kind}@${state.step}`);
      return `memory:${kind}`;
    },
    async load(kind) {
      const text = states.get(kind);
      if (text === undefined) return undefined;
      return JSON.parse(text, (_key, value: { f32?: number[] } | null) => (value?.f32 === undefined ? value : Float32Array.from(value.f32))) as TrainingState;
    },
  };
}

/** A stream with everything that went over it. */
export function recordedStream(onEvent?: (event: RunEvent, command: (command: RunCommand) => void) => void): { stream: RunStream; events: RunEvent[] } {
  const stream = new RunStream();
  const events: RunEvent[] = [];
  stream.events.subscribe((event) => {
    events.push(event);
    onEvent?.(event, (command) => stream.command(command));
  });
  return { stream, events };
}

/** The bits of float32 values. */
export function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer.slice(0))];
}
