import { isDeepStrictEqual } from "node:util";
import { ops, type Contribution, type HostBatch, type PeftMethod } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { demandClose, sameBits } from "../compare.ts";
import { hostLogits, type Logits } from "../logits.ts";
import { padded, rowAlone } from "../padded.ts";
import { onBench, randomState, type PeftMethodSubject } from "./subject.ts";

/** What a method computes: at the start, in evaluation, after steps, after merging. */
export function behaviourChecks(subject: PeftMethodSubject): readonly Check[] {
  return [
    { name: "is described by plain JSON", run: () => demandJson(subject) },
    ...(subject.contribution === undefined ? [] : [{ name: "is made again by its options", run: () => demandRecorded(subject, subject.contribution as Contribution<PeftMethod>) }]),
    { name: "owns trainable variables with paths of their own", run: () => demandVariables(subject) },
    { name: "starts from the generator alone", run: () => demandSeeded(subject) },
    ...(subject.identityAtStart ? [{ name: "starts as the identity", run: () => demandIdentity(subject) }] : []),
    { name: "computes the same twice in evaluation mode", run: () => demandRepeatable(subject) },
    { name: "changes all of its variables and nothing else", run: () => demandOwnChange(subject) },
    { name: "computes each row of a batch as it does alone", run: () => demandRowsAlone(subject) },
    { name: "can be merged where it says so, and nowhere else", run: () => demandMergeable(subject) },
    ...(subject.merges ? [{ name: "merges into the same function", run: () => demandMerge(subject) }] : []),
  ];
}

function demandJson(subject: PeftMethodSubject): void {
  const { id, options } = subject.method();
  demand(id.length > 0, "method: must have an id, got none");
  demand(isDeepStrictEqual(JSON.parse(JSON.stringify(options)), options), `${id}: options must be plain JSON, got ${JSON.stringify(options)} back`);
}

/** What a saved adapter is loaded by: the contribution's id, the options as JSON, the state. */
function demandRecorded(subject: PeftMethodSubject, { id, options: schema, create }: Contribution<PeftMethod>): Promise<void> {
  return onBench(subject, ({ model, attach, logits }) => {
    const source = attach();
    source.loadState(randomState(source));
    const [state, expected] = [source.state(), logits()];
    source.detach();
    const { id: own, options } = subject.method();
    demand(own === id, `method: must carry the id ${id} of its contribution, got ${own}`);
    const recorded: unknown = JSON.parse(JSON.stringify(options));
    const method = create((schema === undefined ? recorded : schema.parse(recorded)) as never);
    demand(method.id === id, `create: what it makes must carry the id ${id}, got ${method.id}`);
    method.attach(model, new ops.Rng(2)).loadState(state);
    demand(sameBits(logits(), expected), `options: the method made again from ${JSON.stringify(recorded)} must compute the same, got other logits`);
  });
}

function demandVariables(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ model, attach }) => {
    const { variables } = attach();
    demand(variables.length > 0, "attach: must make variables, got none");
    const paths = variables.map(({ path }) => path);
    demand(new Set(paths).size === paths.length, `attach: paths must be unique, got ${paths.join(", ")}`);
    const shared = paths.find((path) => model.parameters().has(path));
    demand(shared === undefined, `attach: paths must differ from the model's parameters, got ${shared}`);
    const frozen = variables.find(({ trainable }) => !trainable);
    demand(frozen === undefined, `attach: variables must be trainable, got ${frozen?.path} frozen`);
  });
}

function demandSeeded(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach }) => {
    const values = (seed: number): number[] => {
      const attachment = attach(seed);
      const found = attachment.state().flatMap((array) => [...array.values]);
      attachment.detach();
      return found;
    };
    demand(sameBits(values(3), values(3)), "attach: the same seed must give the same values, got others");
    const { randomStart = true } = subject;
    demand(sameBits(values(3), values(4)) !== randomStart, `attach: another seed must give ${randomStart ? "other values, got the same" : "the same values, got others"}`);
  });
}

function demandIdentity(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits }) => {
    const before = logits();
    attach();
    demand(sameBits(logits(), before), "attach: the logits must not change before the first step, got others");
  });
}

function demandRepeatable(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits }) => {
    const attachment = attach();
    attachment.loadState(randomState(attachment));
    demand(sameBits(logits(), logits()), "forward: evaluation must be repeatable, got other logits the second time");
  });
}

function demandOwnChange(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, parameters, train, model }) => {
    const before = parameters();
    const { variables } = attach();
    const start = variables.map((variable) => variable.data());
    train(variables, 0, 3);
    const names = [...model.parameters().keys()];
    const changed = parameters().findIndex((values, i) => !sameBits(values, before[i] as Float32Array));
    demand(changed < 0, `training: must leave the model's parameters alone, got another ${names[changed]}`);
    const still = variables.findIndex((variable, i) => sameBits(variable.data(), start[i] as Float32Array));
    demand(still < 0, `training: must change every variable in three steps, got the same ${variables[still]?.path}`);
    const bad = variables.find((variable) => !variable.data().every(Number.isFinite));
    demand(bad === undefined, `training: variables must stay finite, got ${bad?.path}`);
  });
}

/** Neither the other examples nor padding may reach a row. */
function demandRowsAlone(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ model, attach }) => {
    const attachment = attach();
    attachment.loadState(randomState(attachment));
    const batch = subject.batch.attentionMask.includes(0) ? subject.batch : padded(subject.batch, 2, 0);
    const whole = hostLogits(model, batch);
    for (let row = 0; row < batch.size; row++) {
      const alone = rowAlone(batch, row);
      const logits = hostLogits(model, alone);
      demandClose({ name: `forward: the logits of row ${row} alone, without padding`, actual: logits.values, expected: rowOf(whole, batch, row, logits.shape), tolerance: 1e-5, relativeTo: "max" });
    }
  });
}

/** A row's logits; of those by position [batch, prompt + seq, width], the prompt's and the real positions' where `alone` has no other. */
function rowOf({ shape, values }: Logits, { seq, attentionMask }: HostBatch, row: number, alone: readonly number[]): Float32Array {
  const [batch = 0, positions = 0, width = 1] = shape;
  const own = values.subarray((row * values.length) / batch, ((row + 1) * values.length) / batch);
  if (positions === alone[1]) return own;
  const prompt = positions - seq;
  return own.filter((_, i) => i < prompt * width || attentionMask[row * seq + Math.floor(i / width) - prompt] === 1);
}

function demandMergeable(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach }) => {
    const [promised, found] = [subject.merges, attach().merge !== undefined].map((merges) => (merges ? "one" : "none")) as [string, string];
    demand(found === promised, `merge: there must be ${promised}, as the subject says, got ${found}`);
  });
}

function demandMerge(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach, logits }) => {
    const plain = logits();
    const attachment = attach();
    attachment.loadState(randomState(attachment));
    const unmerged = logits();
    demand(!sameBits(unmerged, plain), "forward: random values must change the logits, got the same");
    demand(attachment.merge !== undefined, "merge: must be there, got none");
    const [tensors, { variables }] = [ops.memory().tensors, attachment];
    attachment.merge();
    demandClose({ name: "merge: the logits", actual: logits(), expected: unmerged, tolerance: 1e-5, relativeTo: "max" });
    const kept = variables.find(({ value }) => !value.isDisposed);
    demand(kept === undefined, `merge: must detach, which disposes the variables, got ${kept?.path} alive`);
    demand(ops.memory().tensors <= tensors - variables.length, `merge: must leave no tensor behind, got ${ops.memory().tensors - tensors + variables.length} more`);
  });
}
