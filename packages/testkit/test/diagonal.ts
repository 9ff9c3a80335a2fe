import { contextDropout, DeftError, DenseWeight, ops, type AdapterConfigReader, type AdapterLayout, type Attachment, type Contribution, type Model, type NamedArray, type PeftMethod, type Site } from "@deft-js/core";

/** What is wrong with a `diagonal` method. */
export type Flaw =
  | "options" | "path" | "frozen" | "unseeded" | "start" | "noise" | "base" | "idle" | "merge"
  | "wrapper" | "leak" | "order" | "state" | "trusting" | "growth" | "momentum" | "layout" | "incomplete" | "reader"
  | "mixing" | "padding" | "mergeless" | "unlisted" | "closure" | "renamed";

interface Part {
  readonly site: Site<"linear">;
  readonly scale: ops.Variable;
  readonly matrix: ops.Variable;
  undo(): void;
}

let drawn = 0;
const active: (() => void)[] = [];

/** A small method for the suite's own tests: y = base(x) + (dropout(x)∘c)·D·gain on queries, c random and D zero. May be given a flaw. */
export function diagonal(flaw?: Flaw, gain = 2): PeftMethod {
  const options = flaw === "options" ? { when: new Date(0) } : flaw === "closure" ? {} : { gain };
  const method: PeftMethod = { id: flaw === "renamed" ? "toy" : "diagonal", options, attach: (model, rng) => attach(method, model, rng, { gain: flaw === "closure" ? 3 : gain, flaw }) };
  return method;
}

/** What a plugin with the method would register. */
export const diagonalContribution: Contribution<PeftMethod> = { id: "diagonal", summary: "A diagonal before a matrix", create: ({ gain }: { readonly gain?: number }) => diagonal(undefined, gain) };

interface Settings {
  readonly gain: number;
  readonly flaw: Flaw | undefined;
}

function addPart(site: Site<"linear">, rng: ops.Rng, { gain, flaw }: Settings): Part {
  const seeded = flaw === "unseeded" ? new ops.Rng(0) : rng.fork(site.path);
  const path = (name: string): string => (flaw === "path" ? "same" : `${site.path}.${name}`);
  const scale = ops.Variable.from(path("c"), seeded.normals(site.dIn, 1), [site.dIn], { trainable: flaw !== "frozen" });
  const start = flaw === "start" ? seeded.normals(site.dIn * site.dOut, 1) : new Float32Array(site.dIn * site.dOut);
  const matrix = ops.Variable.from(path("d"), start, [site.dIn, site.dOut]);
  const undo = site.wrap((x, base, context) => {
    if (flaw === "growth") ops.tf.keep(ops.tf.scalar(1));
    const noisy = flaw === "noise" ? ops.scale(x, 1 + drawn++) : contextDropout(x, 0.2, context);
    const mixed = flaw === "mixing" ? ops.add(noisy, ops.mean(x)) : flaw === "padding" ? ops.add(noisy, ops.mean(x, { axes: [1], keepDims: true })) : noisy;
    return ops.add(base(x), ops.scale(ops.linear(ops.mul(mixed, scale.value), matrix.value), gain));
  });
  return { site, scale, matrix, undo };
}

function attach(method: PeftMethod, model: Model, rng: ops.Rng, { gain, flaw }: Settings): Attachment {
  const parts = model.sites("linear", /query$/).map((site) => addPart(site, rng, { gain, flaw }));
  const idle = flaw === "idle" ? [ops.Variable.from("idle", new Float32Array(1), [1])] : [];
  const base = flaw === "base" ? [model.parameters().get("classifier.bias") as ops.Variable] : [];
  const own = parts.flatMap(({ scale, matrix }) => [scale, matrix]);
  const variables = [...own, ...idle, ...base];
  const undoAll = (): void => {
    for (const { undo } of parts) undo();
  };
  active.push(undoAll);
  const detach = (): void => {
    if (flaw === "order") active.pop()?.();
    else if (flaw !== "wrapper") undoAll();
    if (flaw !== "leak" && flaw !== "wrapper" && flaw !== "order") for (const variable of [...own, ...idle]) variable.dispose();
  };
  return {
    method, variables, detach,
    ...(flaw !== "mergeless" && { merge: () => {
      for (const part of parts) merge(model, part, gain * (flaw === "merge" ? 1.001 : 1));
      detach();
    } }),
    state: () => variables.map((variable) => ({ name: variable.path, shape: variable.shape, values: variable.data() })),
    loadState: (state) => load(variables, [...state], flaw),
    layouts: { peft: layout(own, flaw), ...(flaw === "unlisted" && { adapterhub: layout(own, "layout") }) },
  };
}

function merge(model: Model, { site, scale, matrix }: Part, gain: number): void {
  const change = ops.scope(() => ops.mul(ops.reshape(scale.value, [site.dIn, 1]), matrix.value));
  const merged = ops.scope(() => ops.add(site.weight!.dense(), ops.scale(change, gain)));
  change.dispose();
  model.replaceWeight(site.path, new DenseWeight(new ops.Variable(`${site.path}.weight`, merged, { trainable: false })));
}

function load(variables: readonly ops.Variable[], state: readonly NamedArray[], flaw?: Flaw): void {
  const byName = new Map(state.map((array) => [array.name, array]));
  const sound = byName.size === variables.length && variables.every(({ path, shape, size }) => byName.get(path)?.shape.join() === shape.join() && byName.get(path)?.values.length === size);
  if (flaw === "trusting" && !sound) return;
  if (!sound) throw new DeftError("diagonal.state", "diagonal: the state must be its own, got another. Load its own.");
  for (const variable of variables) {
    const { values } = byName.get(variable.path) as NamedArray;
    const lossy = (flaw === "momentum" || flaw === "state") && values.some((value) => value !== 0);
    variable.load(lossy ? values.map((value) => value * (flaw === "state" ? 0.5 : 1) + (flaw === "momentum" ? 1e-4 : 0)) : values);
  }
}

function layout(variables: readonly ops.Variable[], flaw?: Flaw): AdapterLayout {
  return {
    config: () => ({ kind: "diagonal" }),
    write: () => variables.map((variable) => ({ name: `their.${variable.path}`, shape: variable.shape, values: flaw === "layout" ? new Float32Array(variable.size) : variable.data() })),
    read: (tensors) => {
      const arrays = variables.map(({ path }) => tensors.get(`their.${path}`)).filter((array) => array !== undefined);
      if (flaw !== "incomplete" || arrays.length === variables.length) load(variables, arrays.map((array) => ({ ...array, name: array.name.slice(6) })));
    },
  };
}

/** The reader of the method's configuration; takes everything for its own when flawed. */
export function diagonalReader(flaw?: Flaw): AdapterConfigReader {
  return { layout: "peft", read: (config) => (config["kind"] === "diagonal" || flaw === "reader" ? diagonal(flaw) : undefined) };
}
