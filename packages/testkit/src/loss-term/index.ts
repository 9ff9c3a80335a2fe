import { ops, type ActivationObserver, type Batch, type ForwardResult, type LossTerm, type Progress } from "@deft-js/core";
import { demand, demandError, type Check } from "../check.ts";
import { demandClose } from "../compare.ts";
import { gradientCheck, tapeGradients } from "../gradient-check.ts";

/** What the suite for loss terms is run on. */
export interface LossTermSubject {
  /** The configured term, with a weight other than 0 somewhere in the run. */
  term(): LossTerm;
  /** The same with weight 0. */
  weightless(): LossTerm;
  /** What the forward result is made of; the suite moves their values. */
  readonly variables: readonly ops.Variable[];
  /** A forward result from the variables' present values, with what the term taps. */
  forward(): ForwardResult;
  readonly batch: Batch;
  /** h of the central differences. */
  readonly step: number;
  /** Their tolerance, as a share of the greatest difference quotient. */
  readonly tolerance: number;
}

const TOTAL = 11;

/** The contract of `LossTerm` as checks; run each with the tests' own `it`. */
export function lossTermChecks(subject: LossTermSubject): readonly Check[] {
  return [
    { name: "gives one finite number all through a run", run: () => demandFinite(subject) },
    { name: "has the gradient of its central differences", run: () => demandGradient(subject) },
    { name: "gives no gradient at weight 0", run: () => demandWeightless(subject) },
    { name: "gives through its observer what it computes", run: () => demandObserver(subject) },
    { name: "leaves no tensor behind", run: () => demandNoLeak(subject) },
    { name: "refuses a forward pass without its taps", run: () => demandTaps(subject) },
  ];
}

function at(step: number): Progress {
  return { step, totalSteps: TOTAL, epoch: 0 };
}

function demandFinite(subject: LossTermSubject): void {
  const term = subject.term();
  const weights = Array.from({ length: TOTAL }, (_, step) => {
    const weight = term.weightAt(at(step));
    demand(Number.isFinite(weight), `weightAt(${step}): must be finite, got ${weight}`);
    const [shape, values] = ops.scope(() => {
      const value = term.compute(subject.forward(), subject.batch, at(step));
      return [value.shape, ops.read(value)] as const;
    });
    demand(values.length === 1 && Number.isFinite(values[0]), `compute at step ${step}: must be one finite number, got ${values[0]} of shape [${shape}]`);
    return weight;
  });
  demand(weights.some((weight) => weight !== 0), "weightAt: must be other than 0 somewhere in the run, got 0 throughout");
}

function demandGradient({ term, forward, batch, variables, step, tolerance }: LossTermSubject): void {
  const subject = term();
  for (const progress of [at(0), at(TOTAL - 1)])
    gradientCheck({ name: `${subject.name} at step ${progress.step}`, f: () => subject.compute(forward(), batch, progress), variables, step, tolerance });
}

function demandWeightless({ weightless, forward, batch, variables }: LossTermSubject): void {
  const term = weightless();
  for (let step = 0; step < TOTAL; step++) {
    const weight = term.weightAt(at(step));
    demand(weight === 0, `weightAt(${step}): must be 0, got ${weight}`);
  }
  const gradients = tapeGradients(() => ops.scale(term.compute(forward(), batch, at(0)), term.weightAt(at(0))), variables);
  for (const [path, values] of gradients) demand(values.every((value) => value === 0), `weight 0: the gradient of ${path} must be 0, got ${values.find((value) => value !== 0)}`);
}

function demandObserver({ term, forward, batch, variables }: LossTermSubject): void {
  const made = term();
  if (made.observer === undefined) return;
  for (const progress of [at(0), at(TOTAL - 1)]) {
    const plain = (): ops.Tensor => made.compute(forward(), batch, progress);
    const { value, gradients } = observed(made.observer(progress), forward, variables);
    demandClose({ name: "observer: loss", actual: value, expected: ops.scope(() => Float32Array.from(ops.read(plain()))), tolerance: 1e-6, relativeTo: "entry" });
    for (const [path, expected] of tapeGradients(plain, variables)) demandClose({ name: `observer: gradient of ${path}`, actual: gradients.get(path) as Float32Array, expected, tolerance: 1e-6, relativeTo: "max" });
  }
}

/** The loss and its gradients as the trainer takes them: each activation in a scope of its own, which frees what is not handed out, and the value after the way back. */
function observed(observer: ActivationObserver, forward: () => ForwardResult, variables: readonly ops.Variable[]): { value: Float32Array; gradients: ReadonlyMap<string, Float32Array> } {
  const kept: ops.Tensor[] = [];
  const keep = (tensor: ops.Tensor): void => {
    ops.hold(tensor);
    kept.push(tensor);
  };
  const copied = (tensor: ops.Tensor): Float32Array => Float32Array.from(ops.read(tensor));
  try {
    return ops.scope(() => {
      let summands: readonly ops.Summand[] = [];
      const gradients = ops.gradientsOf(() => {
        for (const activation of forward().activations) ops.scope(() => observer.observe(activation).forEach(keep));
        return (summands = observer.loss());
      }, variables);
      return { value: copied(ops.weightedSum(summands)), gradients: new Map([...gradients].map(([path, gradient]) => [path, copied(gradient)])) };
    });
  } finally {
    kept.forEach(ops.release);
  }
}

function demandNoLeak({ term, forward, batch }: LossTermSubject): void {
  const subject = term();
  const once = (): void => ops.scope(() => void subject.compute(forward(), batch, at(0)));
  once();
  const { tensors } = ops.memory();
  once();
  once();
  demand(ops.memory().tensors === tensors, `compute: the number of tensors must stay ${tensors}, got ${ops.memory().tensors}`);
}

async function demandTaps({ term, forward, batch }: LossTermSubject): Promise<void> {
  const subject = term();
  if (subject.taps.activations !== true && subject.taps.hiddenStates !== true) return;
  await demandError(() => ops.scope(() => void subject.compute({ ...forward(), activations: [], hiddenStates: [] }, batch, at(0))), /./, "compute without its taps");
}
