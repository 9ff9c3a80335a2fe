import { DeftError } from "./errors.ts";
import { handleOn, plus } from "./run-kernel.ts";
import { hold, nextId, opScope, release } from "./scope.ts";
import { fill } from "./tensor.ts";
import { tf, type Tensor } from "./tfjs.ts";
import type { Variable } from "./variable.ts";

/** A part of a gradient that is not computed yet, so that a fused kernel may take it in. */
export interface DeferredGradient {
  readonly kind: string;
  /** Computes it as a fresh tensor of the shape of the value. */
  compute(): Tensor;
  /** Frees what it holds; called once, after `compute` or by the kernel that took it. */
  free(): void;
}

/** The gradient of a scalar by one value, gathered while going back. */
export class Gradient {
  #sum: Tensor | undefined;
  readonly #deferred: DeferredGradient[] = [];

  /** The gradient as one tensor. */
  value(): Tensor {
    for (const part of this.#deferred.splice(0)) {
      this.add(part.compute());
      part.free();
    }
    if (this.#sum === undefined) throw new DeftError("tensor.gradient", "gradient: nothing was added yet. Report this as a defect.");
    return this.#sum;
  }

  /** Takes what has been summed so far out, for a part that is computed onto it; the caller owns it. */
  takeSum(): Tensor | undefined {
    const sum = this.#sum;
    this.#sum = undefined;
    return sum;
  }

  /** Takes the deferred part of this kind out, for a kernel that computes it itself; more than one are left alone. */
  take<D extends DeferredGradient>(kind: D["kind"]): D | undefined {
    if (this.#deferred.length !== 1 || this.#deferred[0]?.kind !== kind) return undefined;
    return this.#deferred.pop() as D;
  }

  /** What has been summed so far, without the deferred parts. */
  get summed(): Tensor | undefined {
    return this.#sum;
  }

  /** Takes ownership of `part`. */
  add(part: Tensor): void {
    if (this.#sum === undefined) {
      this.#sum = tf.keep(part);
      return;
    }
    const before = this.#sum;
    this.#sum = tf.keep(plus(before, part));
    before.dispose();
    part.dispose();
  }

  defer(part: DeferredGradient): void {
    this.#deferred.push(part);
  }

  dispose(): void {
    this.#sum?.dispose();
    this.#sum = undefined;
    for (const part of this.#deferred.splice(0)) part.free();
  }
}

/** What a backward function gives for one input: a tensor, a deferred part, or nothing when it was not needed. */
export type InputGradient = Tensor | DeferredGradient | undefined;

interface Node {
  readonly name: string;
  readonly inputs: readonly Tensor[];
  /** The output's id: its values are held only when they are among `saved`. */
  readonly outputId: number;
  readonly saved: readonly Tensor[];
  readonly backward: Op["backward"];
}

/** Gives what has been summed so far of the gradient by one input, which the part that is returned for it then holds too; undefined where there is nothing. */
export type SumSoFar = (input: number) => Tensor | undefined;

/** One differentiable op. */
export interface Op {
  readonly name: string;
  /** The tensors that a gradient may flow to. */
  readonly inputs: readonly Tensor[];
  /**
   * Computes the output and names what `backward` reads, inputs and the output included: the rest is freed with its scope. `recording` is false when no input depends on a
   * trainable variable: then nothing needs to be saved. `remake` gives the output's values from what is saved: an op that reads them going back then need not hold them.
   */
  forward(recording: boolean): { output: Tensor; saved?: readonly Tensor[]; remake?: () => Tensor };
  /** The gradients of the inputs, fresh tensors (or `dy.value()` itself), `undefined` where `needs` is false. */
  backward(dy: Gradient, needs: readonly boolean[], sumSoFar: SumSoFar): readonly InputGradient[];
}

class Tape {
  readonly nodes: Node[] = [];
  readonly #tracked: Set<number>;
  readonly #remakes = new Map<number, () => Tensor>();

  constructor(leaves: readonly Variable[]) {
    this.#tracked = new Set(leaves.map((leaf) => leaf.value.id));
  }

  tracks(tensor: Tensor): boolean {
    return this.#tracked.has(tensor.id);
  }

  remake(tensor: Tensor): (() => Tensor) | undefined {
    return this.#remakes.get(tensor.id);
  }

  record(node: Node, remake: (() => Tensor) | undefined): void {
    this.#tracked.add(node.outputId);
    if (remake !== undefined) this.#remakes.set(node.outputId, remake);
    for (const tensor of node.saved) hold(tensor);
    this.nodes.push(node);
  }

  drop(): void {
    for (const node of this.nodes.splice(0)) this.free(node);
  }

  free(node: Node): void {
    for (const tensor of node.saved) release(tensor);
  }
}

let active: Tape | undefined;

/** Whether a gradient will be asked for through this tensor, during a forward pass; a backward reads its `needs` instead. */
export function isTracked(tensor: Tensor): boolean {
  return active?.tracks(tensor) ?? false;
}

/**
 * How to make a tensor's values again while the gradient goes through the op that made it; undefined where that op saves too little. To be asked for during the
 * forward pass, by an op whose backward leaves its part of the gradient deferred: it is then computed in the backward of the op that made the tensor, at the latest.
 */
export function remakeOf(tensor: Tensor): (() => Tensor) | undefined {
  return active?.remake(tensor);
}

/** Runs an op, and records it on the tape when it depends on a trainable variable. */
export function differentiable(op: Op): Tensor {
  const tape = active;
  const recording = tape !== undefined && op.inputs.some((x) => tape.tracks(x));
  const { output, saved = [], remake } = opScope(() => op.forward(recording), (made) => (recording ? [made.output, ...(made.saved ?? [])] : [made.output]));
  if (recording) tape.record({ name: op.name, inputs: op.inputs, outputId: output.id, saved, backward: op.backward }, remake);
  return output;
}

/** Runs `body` without recording: its results count as constants. */
export function noGradient<T>(body: () => T): T {
  const tape = active;
  active = undefined;
  try {
    return body();
  } finally {
    active = tape;
  }
}

/** Gradients by variable path: one entry for every variable given; zeros where nothing depends on it. */
export type Gradients = ReadonlyMap<string, Tensor>;

/** A part of a sum: weight · Σ values. */
export interface Summand {
  readonly values: Tensor;
  readonly weight: number;
}

/** The value of a scalar function and its gradients by variable path. */
export interface ValueAndGradients {
  readonly value: Tensor;
  readonly gradients: Gradients;
}

/**
 * Computes f() and df/dv for each variable given, as `gradientsOf` does. The results belong to the enclosing scope.
 * @throws DeftError `tensor.gradient` when the result is not a scalar or depends on none of the variables.
 */
export function valueAndGradients(f: () => Tensor, variables: readonly Variable[]): ValueAndGradients {
  let value!: Tensor;
  const gradients = gradientsOf(() => {
    value = f();
    if (value.size !== 1) throw new DeftError("tensor.gradient", `valueAndGradients: the function must return one number, got shape [${value.shape}]. Reduce it first.`);
    return [{ values: value, weight: 1 }];
  }, variables);
  return { value, gradients };
}

/**
 * The gradients of Σ weight·Σ values, reverse mode: records only what depends on the variables and frees saved tensors as it goes back. The sum itself is not
 * computed (`weightedSum` does that): what is late among the values (see `densityPenalty`) is there when this returns. The results belong to the enclosing scope.
 * @throws DeftError `tensor.gradient` when the values depend on none of the variables.
 */
export function gradientsOf(f: () => readonly Summand[], variables: readonly Variable[]): Gradients {
  if (active !== undefined) throw new DeftError("tensor.gradient", "gradients: must not be asked for inside each other, got a call inside another. Sum the losses first.");
  const tape = new Tape(variables);
  active = tape;
  const gradients = new Map<number, Gradient>();
  try {
    const summands = f().filter(({ values }) => tape.tracks(values));
    active = undefined;
    if (summands.length === 0) throw new DeftError("tensor.gradient", "gradients: the value depends on none of the variables. Check what is trainable.");
    for (const { values, weight } of summands) gradientIn(gradients, values).add(fill(values.shape, weight));
    goBack(tape, gradients, new Set(variables.map((v) => v.value.id)));
    return collect(variables, gradients);
  } finally {
    active = undefined;
    tape.drop();
    for (const gradient of gradients.values()) gradient.dispose();
  }
}

function gradientIn(gradients: Map<number, Gradient>, of: Tensor): Gradient {
  let gradient = gradients.get(of.id);
  if (gradient === undefined) gradients.set(of.id, (gradient = new Gradient()));
  return gradient;
}

function goBack(tape: Tape, gradients: Map<number, Gradient>, leaves: ReadonlySet<number>): void {
  for (let node = tape.nodes.pop(); node !== undefined; node = tape.nodes.pop()) {
    try {
      const dy = gradients.get(node.outputId);
      if (dy === undefined) continue;
      step(tape, node, dy, gradients);
      if (leaves.has(node.outputId)) continue;
      dy.dispose();
      gradients.delete(node.outputId);
    } finally {
      tape.free(node);
    }
  }
}

function step(tape: Tape, node: Node, dy: Gradient, gradients: Map<number, Gradient>): void {
  const gone = node.saved.find((tensor) => tensor.isDisposed);
  if (gone !== undefined) throw new DeftError("tensor.gradient", `${node.name}: what its gradient reads must live until the gradient is taken, got a disposed tensor of shape [${gone.shape}]. Dispose of it, or assign the variable, afterwards.`);
  const needs = node.inputs.map((x) => tape.tracks(x));
  const taken: Tensor[] = [];
  const sumSoFar: SumSoFar = (i) => {
    const sum = gradients.get((node.inputs[i] as Tensor).id)?.takeSum();
    if (sum !== undefined) taken.push(sum);
    return sum;
  };
  const mark = nextId();
  try {
    opScope(() => {
      const parts = node.backward(dy, needs, sumSoFar);
      for (const [i, input] of node.inputs.entries()) {
        const part = parts[i];
        if (part === undefined || needs[i] !== true) continue;
        const gradient = gradientIn(gradients, input);
        // one tensor may be the gradient of several inputs: each but the last takes a handle of its own
        if (!("compute" in part)) gradient.add(owned(part, input, { name: node.name, fresh: part.id > mark && !parts.includes(part, i + 1) }));
        else gradient.defer(part);
      }
    }, () => []);
  } finally {
    for (const sum of taken) sum.dispose();
  }
}

/** A gradient owns its tensor: one that belongs to somebody else (dy passed through, a saved tensor) is taken as a second handle on the same buffer. */
function owned(part: Tensor, input: Tensor, { name, fresh }: { name: string; fresh: boolean }): Tensor {
  if (part.shape.length !== input.shape.length || part.shape.some((n, i) => n !== input.shape[i]))
    throw new DeftError("tensor.gradient", `${name}: the gradient must have the shape [${input.shape}] of its input, got [${part.shape}]. Correct the op's backward.`);
  return fresh && !part.kept ? part : handleOn(part);
}

function collect(variables: readonly Variable[], gradients: Map<number, Gradient>): Map<string, Tensor> {
  const collected = new Map<string, Tensor>();
  for (const variable of variables) {
    const gradient = gradients.get(variable.value.id);
    const value = gradient === undefined ? tf.zeros([...variable.shape]) : handleOn(gradient.value());
    if (collected.has(variable.path)) throw new DeftError("tensor.gradient", `gradients: each variable must have a path of its own, got ${variable.path} twice. Name them apart.`);
    collected.set(variable.path, value);
  }
  return collected;
}
