import { batchTensors, ops, trainingContext, type AdapterConfigReader, type Attachment, type Batch, type Contribution, type HostBatch, type Model, type NamedArray, type PeftMethod } from "@deft-js/core";

/** What the suite for PEFT methods is run on. */
export interface PeftMethodSubject {
  /** The configured method. */
  method(): PeftMethod;
  /** A fresh model, each time with the same values; a trainable method must have something to learn on it. */
  model(): Promise<Model>;
  /** A batch with labels. */
  readonly batch: HostBatch;
  /** Whether the model computes exactly what it did until the first step. */
  readonly identityAtStart: boolean;
  /** Whether the first values are drawn from the generator (default), or are the same for every seed. */
  readonly randomStart?: boolean;
  /** Whether it can be merged: whether its attachment has `merge`. */
  readonly merges: boolean;
  /** The layouts that can hold it on this model: all that its attachment has. */
  readonly layouts?: readonly ("peft" | "adapterhub")[];
  /** Readers of these layouts' configurations. */
  readonly readers?: readonly AdapterConfigReader[];
  /** What the plugin registers: it must make the method again from the options that are recorded. */
  readonly contribution?: Contribution<PeftMethod> | undefined;
}

/** A model with its batch, for one check. */
export interface Bench {
  readonly model: Model;
  readonly batch: Batch;
  attach(seed?: number): Attachment;
  logits(): Float32Array;
  parameters(): readonly Float32Array[];
  /** Gradient steps on variables, numbered from `first`: the number decides the dropout. */
  train(variables: readonly ops.Variable[], first: number, count: number): void;
}

/** Runs a check's body on a fresh model and disposes it. */
export async function onBench(subject: PeftMethodSubject, body: (bench: Bench) => void | Promise<void>): Promise<void> {
  const model = await subject.model();
  const batch = batchTensors(subject.batch);
  try {
    await body({
      model,
      batch,
      attach: (seed = 1) => subject.method().attach(model, new ops.Rng(seed)),
      logits: () => ops.scope(() => ops.read(model.forward(batch).logits)),
      parameters: () => [...model.parameters().values()].map((variable) => variable.data()),
      train: (variables, first, count) => {
        for (let step = first; step < first + count; step++) descend(model, batch, variables, step);
      },
    });
  } finally {
    model.dispose();
    for (const tensor of Object.values(batch)) if (typeof tensor === "object") (tensor as ops.Tensor).dispose();
  }
}

/** Random values in the shapes of a state, so that nothing is zero. */
export function randomState(attachment: Attachment, seed = 5): readonly NamedArray[] {
  const rng = new ops.Rng(seed);
  return attachment.state().map(({ name, shape, values }) => ({ name, shape, values: rng.normals(values.length, 0.3) }));
}

const RATE = 0.1;

function descend(model: Model, batch: Batch, variables: readonly ops.Variable[], step: number): void {
  ops.scope(() => {
    const context = trainingContext(new ops.Rng(step));
    const { gradients } = ops.valueAndGradients(() => model.loss(model.forward(batch, {}, context), batch), variables);
    for (const variable of variables) variable.assign(ops.sub(variable.value, ops.scale(gradients.get(variable.path) as ops.Tensor, RATE)));
  });
}
