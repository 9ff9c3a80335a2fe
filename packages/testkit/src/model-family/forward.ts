import { batchTensors, ops, type Model } from "@deft-js/core";
import { padded } from "../padded.ts";
import { demand, type Check } from "../check.ts";
import { demandClose, sameBits } from "../compare.ts";
import { logitsOf, onModel, type ModelFamilySubject } from "./subject.ts";

/** What a family's models compute. */
export function forwardChecks(subject: ModelFamilySubject): readonly Check[] {
  return [
    { name: "gives logits of the head's shape and a finite loss", run: () => onModel(subject, (model) => demandLogits(subject, model)) },
    { name: "gives what is tapped and nothing else", run: () => onModel(subject, (model) => demandTaps(subject, model)) },
    { name: "computes the same twice in evaluation mode", run: () => onModel(subject, (model) => demand(sameBits(logitsOf(model, subject.batch), logitsOf(model, subject.batch)), "forward: must be repeatable, got other logits the second time")) },
    { name: "does not see padding", run: () => onModel(subject, (model) => demandPadding(subject, model)) },
    { name: "keeps the number of tensors", run: () => onModel(subject, (model) => demandFlatMemory(subject, model)) },
    { name: "disposes all that it made", run: () => demandDispose(subject) },
    { name: "sends a gradient to its head", run: () => onModel(subject, (model) => demandHeadGradient(subject, model)) },
  ];
}

function demandLogits({ batch, head, labels, config }: ModelFamilySubject, model: Model): void {
  const [shape, finite, loss] = ops.scope(() => {
    const tensors = batchTensors(batch);
    const result = model.forward(tensors);
    return [result.logits.shape, ops.read(result.logits).every(Number.isFinite), ops.read(model.loss(result, tensors))] as const;
  });
  const classifies = head === "sequence-classification" || head === "tanh-classification";
  const width = classifies ? labels : config["vocab_size"];
  demand(shape[0] === batch.size && (width === undefined || shape.at(-1) === width) && shape.length === (classifies ? 2 : 3), `forward: logits must be [${batch.size}, ${classifies ? "" : "seq, "}${width}], got [${shape}]`);
  demand(finite, "forward: logits must be finite, got NaN or infinity");
  demand(loss.length === 1 && Number.isFinite(loss[0]), `loss: must be one finite number, got ${loss}`);
}

function demandTaps({ batch }: ModelFamilySubject, model: Model): void {
  ops.scope(() => {
    const tensors = batchTensors(batch);
    const plain = model.forward(tensors);
    demand(plain.activations.length === 0 && plain.hiddenStates.length === 0, "forward: must tap nothing unasked, got activations or hidden states");
    const { activations, hiddenStates, logits } = model.forward(tensors, { activations: true, hiddenStates: true });
    demand(sameBits(ops.read(logits), ops.read(plain.logits)), "forward: taps must not change the logits, got others");
    const sites = model.sites("activation");
    demand(activations.length === sites.length && activations.length > 0, `taps: must give one activation for each of ${sites.length} sites, got ${activations.length}`);
    for (const [i, { path, value, mask, stack, layer }] of activations.entries()) {
      const site = sites.find((candidate) => candidate.path === path);
      demand(site !== undefined && site.stack === stack && site.layer === layer, `taps: activation ${i} must name its site, got ${path}`);
      demand(value.shape.length === 3 && value.shape[0] === batch.size && value.shape[2] === site.dOut, `taps: ${path} must be [${batch.size}, seq, ${site.dOut}], got [${value.shape}]`);
      demand(mask.shape.join() === value.shape.slice(0, 2).join(), `taps: the mask of ${path} must be [${value.shape.slice(0, 2)}], got [${mask.shape}]`);
    }
    const observed: (readonly [path: string, value: Float32Array])[] = [];
    const none = model.forward(tensors, { observe: ({ path, value }) => void observed.push([path, Float32Array.from(ops.read(value))]) }).activations;
    demand(none.length === 0, `taps: an observer alone must keep no activation, got ${none.length}`);
    const same = observed.length === activations.length && activations.every(({ path, value }, i) => observed[i]?.[0] === path && sameBits(observed[i][1], ops.read(value)));
    demand(same, `taps: an observer must see each activation in order, got ${observed.map(([path]) => path).join(", ") || "none"}`);
    demand(hiddenStates.length > 1 && hiddenStates.every(({ shape }) => shape.length === 3), `taps: hidden states must be [batch, seq, dModel], one more than layers, got ${hiddenStates.length}`);
  });
}

function demandPadding({ batch, padId }: ModelFamilySubject, model: Model): void {
  const logits = logitsOf(model, batch);
  const more = logitsOf(model, padded(batch, 2, padId));
  if (more.length === logits.length) return void demandClose({ name: "forward: logits with more padding", actual: more, expected: logits, tolerance: 1e-5, relativeTo: "max" });
  const width = more.length / (batch.size * (batch.seq + 2));
  const real = (values: Float32Array, seq: number): number[] =>
    [...batch.attentionMask].flatMap((m, i) => {
      const at = (Math.floor(i / batch.seq) * seq + (i % batch.seq)) * width;
      return m === 1 ? [...values.subarray(at, at + width)] : [];
    });
  demandClose({ name: "forward: logits of real positions with more padding", actual: real(more, batch.seq + 2), expected: real(logits, batch.seq), tolerance: 1e-5, relativeTo: "max" });
}

function demandFlatMemory({ batch }: ModelFamilySubject, model: Model): void {
  logitsOf(model, batch);
  const { tensors } = ops.memory();
  logitsOf(model, batch);
  demand(ops.memory().tensors === tensors, `forward: the number of tensors must stay ${tensors}, got ${ops.memory().tensors}`);
}

async function demandDispose(subject: ModelFamilySubject): Promise<void> {
  const { tensors } = ops.memory();
  await onModel(subject, (model) => void logitsOf(model, subject.batch));
  demand(ops.memory().tensors === tensors, `dispose: must free every tensor, got ${ops.memory().tensors - tensors} left`);
}

function demandHeadGradient({ batch }: ModelFamilySubject, model: Model): void {
  const head = model.headParameters();
  if (head.length === 0) return;
  ops.scope(() => {
    const tensors = batchTensors(batch);
    const { gradients } = ops.valueAndGradients(() => model.loss(model.forward(tensors), tensors), head);
    for (const [path, gradient] of gradients) {
      const values = ops.read(gradient);
      demand(values.every(Number.isFinite) && values.some((value) => value !== 0), `gradient of ${path}: must be finite and not 0, got ${values.every((value) => value === 0) ? "0 throughout" : "NaN or infinity"}`);
    }
  });
}
