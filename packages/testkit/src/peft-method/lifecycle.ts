import { ops, type Attachment, type NamedArray } from "@deft-js/core";
import { demand, demandError, type Check } from "../check.ts";
import { sameBits } from "../compare.ts";
import { onBench, randomState, type PeftMethodSubject } from "./subject.ts";

/** How a method comes, goes, is saved and resumed. */
export function lifecycleChecks(subject: PeftMethodSubject): readonly Check[] {
  return [
    { name: "detaches without a trace", run: () => demandDetach(subject) },
    { name: "detaches in any order", run: () => demandAnyOrder(subject) },
    { name: "carries its state over", run: () => demandState(subject) },
    { name: "refuses a state that is not its own", run: () => demandForeignState(subject) },
    { name: "keeps the number of tensors from step to step", run: () => demandFlatMemory(subject) },
    { name: "continues as if it had not stopped", run: () => demandResume(subject) },
  ];
}

function demandDetach(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits, parameters, train }) => {
    const [before, values] = [logits(), parameters()];
    const tensors = ops.memory().tensors;
    const attachment = attach();
    train(attachment.variables, 0, 2);
    attachment.detach();
    demand(sameBits(logits(), before), "detach: the logits must be as before, got others");
    demand(parameters().every((array, i) => sameBits(array, values[i] as Float32Array)), "detach: the model's parameters must be as before, got others");
    demand(ops.memory().tensors === tensors, `detach: must dispose what it made, got ${ops.memory().tensors - tensors} tensors more`);
  });
}

function demandAnyOrder(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits }) => {
    const before = logits();
    const attached = (seed: number): Attachment => {
      const attachment = attach(seed);
      attachment.loadState(randomState(attachment, seed));
      return attachment;
    };
    const alone = [1, 2].map((seed) => {
      const attachment = attached(seed);
      const found = logits();
      attachment.detach();
      return found;
    });
    for (const first of [0, 1]) {
      const both = [attached(1), attached(2)];
      both[first]?.detach();
      demand(sameBits(logits(), alone[1 - first] as Float32Array), `detach: the ${first === 0 ? "earlier" : "later"} of two first must leave the other as it is alone, got other logits`);
      both[1 - first]?.detach();
      demand(sameBits(logits(), before), "detach: both must leave the model as before, got other logits");
    }
  });
}

function demandState(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits }) => {
    const source = attach(1);
    source.loadState(randomState(source));
    const [state, expected] = [source.state(), logits()];
    source.detach();
    const target = attach(2);
    target.loadState(state);
    demand(sameBits(logits(), expected), "loadState: the logits must be those of the state's origin, got others");
    demand(sameStates(target.state(), state), "state: must give back what was loaded, got other values");
  });
}

function demandForeignState(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, async ({ attach }) => {
    const attachment = attach();
    const before = attachment.state();
    const [first, ...rest] = randomState(attachment) as [NamedArray, ...NamedArray[]];
    const foreign: Readonly<Record<string, readonly NamedArray[]>> = {
      "a missing array": rest,
      "an unexpected array": [...rest, first, { ...first, name: "no.such.variable" }],
      "a misshapen array": [...rest, { ...first, shape: [...first.shape, 1] }],
      "an array of too few values": [...rest, { ...first, values: first.values.subarray(1) }],
    };
    for (const [what, state] of Object.entries(foreign)) {
      await demandError(() => attachment.loadState(state), /\.state$/, `loadState with ${what}`);
      demand(sameStates(attachment.state(), before), `loadState with ${what}: must change nothing, got other values`);
    }
  });
}

function demandFlatMemory(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits, train }) => {
    const { variables } = attach();
    train(variables, 0, 1);
    logits();
    const { tensors } = ops.memory();
    train(variables, 1, 3);
    logits();
    demand(ops.memory().tensors === tensors, `training: the number of tensors must stay ${tensors}, got ${ops.memory().tensors} three steps later`);
  });
}

function demandResume(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, train }) => {
    const whole = attach(1);
    train(whole.variables, 0, 4);
    const expected = whole.state();
    whole.detach();
    const first = attach(1);
    train(first.variables, 0, 2);
    const state = first.state();
    first.detach();
    const second = attach(2);
    second.loadState(state);
    train(second.variables, 2, 2);
    demand(sameStates(second.state(), expected), "training: two steps, a restart and two steps must equal four steps, got other values");
  });
}

/** Whether two states hold the same names, shapes and values in the same order. */
export function sameStates(a: readonly NamedArray[], b: readonly NamedArray[]): boolean {
  return a.length === b.length && a.every((array, i) => array.name === b[i]?.name && array.shape.join() === b[i].shape.join() && sameBits(array.values, b[i].values));
}
