import { ops, type AdapterLayout, type Attachment, type NamedArray } from "@deft-js/core";
import { demand, demandError, type Check } from "../check.ts";
import { sameBits } from "../compare.ts";
import { sameStates } from "./lifecycle.ts";
import { onBench, randomState, type PeftMethodSubject } from "./subject.ts";

type LayoutName = "peft" | "adapterhub";

/** How a method moves through other libraries' adapter folders. */
export function layoutChecks(subject: PeftMethodSubject): readonly Check[] {
  const listed: Check = { name: "has the layouts that are listed, and no other", run: () => demandListed(subject) };
  return [listed, ...(subject.layouts ?? []).flatMap((name) => [
    { name: `moves through the ${name} layout`, run: () => demandRoundTrip(subject, name) },
    { name: `refuses incomplete tensors in the ${name} layout`, run: () => demandComplete(subject, name) },
    ...(subject.readers ?? []).filter(({ layout }) => layout === name).map((_, i) => ({ name: `is read back from its ${name} configuration (reader ${i + 1})`, run: () => demandReader(subject, name, i) })),
  ])];
}

/** A layout that no subject lists would never be tried. */
function demandListed(subject: PeftMethodSubject): Promise<void> {
  return onBench(subject, ({ attach }) => {
    const { layouts = {} } = attach();
    const [listed, found] = [subject.layouts ?? [], (["peft", "adapterhub"] as const).filter((name) => layouts[name] !== undefined)].map((names) => [...names].sort().join(", ") || "none") as [string, string];
    demand(found === listed, `layouts: must be ${listed}, as the subject lists, got ${found}`);
  });
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

/** Into the same method, whose state it then is, or into the one that the layout's files hold, which then computes the same. */
function demandRoundTrip(subject: PeftMethodSubject, name: LayoutName): Promise<void> {
  return onBench(subject, ({ model, attach, logits }) => {
    const source = attach(1);
    source.loadState(randomState(source));
    const layout = layoutOf(source, name);
    const [tensors, state, expected] = [written(layout), source.state(), logits()];
    const head: NamedArray = { name: "some.head.weight", shape: [1], values: new Float32Array(1) };
    source.detach();
    const target = layout.method?.attach(model, new ops.Rng(2)) ?? attach(2);
    layoutOf(target, name).read(new Map([...tensors, [head.name, head]]), ADAPTER);
    if (layout.method === undefined) demand(sameStates(target.state(), state), `layout ${name}: must read what it wrote beside a head's tensors, got other values`);
    demand(sameBits(logits(), expected), `layout ${name}: what it wrote must compute the same once it is read, got other logits`);
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
