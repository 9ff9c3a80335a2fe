import { ops, type AdapterLayout, type Attachment, type NamedArray } from "@deft-js/core";
import { demand, demandError, type Check } from "../check.ts";
import { sameBits } from "../compare.ts";
import { sameStates } from "./lifecycle.ts";
import { onBench, randomState, type PeftMethodSubject } from "./subject.ts";

type LayoutName = "peft" | "adapterhub";

/** How a method moves through other libraries' adapter folders. */
export function layoutChecks(subject: PeftMethodSubject): readonly Check[] {
  return (subject.layouts ?? []).flatMap((name) => [
    { name: `moves through the ${name} layout`, run: () => demandRoundTrip(subject, name) },
    { name: `refuses incomplete tensors in the ${name} layout`, run: () => demandComplete(subject, name) },
    ...(subject.readers ?? []).filter(({ layout }) => layout === name).map((_, i) => ({ name: `is read back from its ${name} configuration (reader ${i + 1})`, run: () => demandReader(subject, name, i) })),
  ]);
}

const ADAPTER = "conformance";

function layoutOf(attachment: Attachment, name: LayoutName): AdapterLayout {
  const layout = attachment.layouts?.[name];
  demand(layout !== undefined, `layouts: must have ${name}, got none`);
  return layout;
}

function written(layout: AdapterLayout): Map<string, NamedArray> {
  return new Map(layout.write(ADAPTER).map((array) => [array.name, array]));
}

function demandRoundTrip(subject: PeftMethodSubject, name: LayoutName): Promise<void> {
  return onBench(subject, ({ attach }) => {
    const source = attach(1);
    source.loadState(randomState(source));
    const [tensors, state] = [written(layoutOf(source, name)), source.state()];
    source.detach();
    const target = attach(2);
    const head: NamedArray = { name: "some.head.weight", shape: [1], values: new Float32Array(1) };
    layoutOf(target, name).read(new Map([...tensors, [head.name, head]]), ADAPTER);
    demand(sameStates(target.state(), state), `layout ${name}: must read what it wrote beside a head's tensors, got other values`);
  });
}

function demandComplete(subject: PeftMethodSubject, name: LayoutName): Promise<void> {
  return onBench(subject, async ({ attach }) => {
    const attachment = attach();
    const layout = layoutOf(attachment, name);
    const [[missing, array], ...rest] = [...written(layout)] as [[string, NamedArray], ...[string, NamedArray][]];
    await demandError(() => layout.read(new Map(rest), ADAPTER), /\.state$/, `layout ${name} without ${missing}`);
    const misshapen: NamedArray = { ...array, shape: [...array.shape, 1] };
    await demandError(() => layout.read(new Map([...rest, [missing, misshapen]]), ADAPTER), /\.state$/, `layout ${name} with ${missing} misshapen`);
  });
}

function demandReader(subject: PeftMethodSubject, name: LayoutName, reader: number): Promise<void> {
  return onBench(subject, ({ model, attach, logits }) => {
    const source = attach(1);
    source.loadState(randomState(source));
    const layout = layoutOf(source, name);
    const config = JSON.parse(JSON.stringify(layout.config())) as Record<string, unknown>;
    const [tensors, expected] = [written(layout), logits()];
    source.detach();
    const readers = (subject.readers ?? []).filter((candidate) => candidate.layout === name);
    const method = readers[reader]?.read(config);
    demand(method !== undefined, `reader ${name}: must know its own configuration, got undefined for ${JSON.stringify(config)}`);
    const target = method.attach(model, new ops.Rng(2));
    layoutOf(target, name).read(tensors, ADAPTER);
    demand(sameBits(logits(), expected), `reader ${name}: the method read back must compute the same, got other logits`);
    demand(readers[reader]?.read({}) === undefined, `reader ${name}: must give undefined for a configuration that is not its own, got a method`);
  });
}
