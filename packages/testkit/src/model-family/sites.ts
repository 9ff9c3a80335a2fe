import { DenseWeight, ops, type Model, type Site, type SiteKind } from "@deft-js/core";
import { demand, demandError, type Check } from "../check.ts";
import { demandClose, sameBits } from "../compare.ts";
import { build, logitsOf, onModel, sourceOf, type ModelFamilySubject } from "./subject.ts";

const KINDS: readonly SiteKind[] = ["embedding", "linear", "attention", "residual", "activation", "mlp", "norm"];

/** Kinds that a family may lack: RMS norms have no bias. */
const OPTIONAL: readonly SiteKind[] = ["norm"];

/** What a family's models offer to methods and files. */
export function siteChecks(subject: ModelFamilySubject): readonly Check[] {
  return [
    ...KINDS.map((kind) => ({ name: `runs every ${kind} site through its wrappers and undoes them in any order`, run: () => onModel(subject, (model) => demandWraps(subject, model, kind)) })),
    { name: "names its sites and chooses them by pattern", run: () => onModel(subject, demandPaths) },
    { name: "takes another weight", run: () => onModel(subject, (model) => demandReplace(subject, model)) },
    { name: "exports what it can import", run: () => demandRoundTrip(subject) },
    { name: "refuses missing, unexpected and misshapen tensors", run: () => demandStrict(subject) },
  ];
}

function demandWraps({ batch }: ModelFamilySubject, model: Model, kind: SiteKind): void {
  const sites = model.sites(kind) as readonly Site<"linear">[];
  demand(sites.length > 0 || OPTIONAL.includes(kind), `sites: must have some of kind ${kind}, got none`);
  const before = logitsOf(model, batch);
  const seen = new Set<string>();
  const undos = [0, 1].flatMap(() => sites.map((site) => site.wrap((input, base) => (seen.add(site.path), base(input)))));
  demandClose({ name: `${kind}: logits under wrappers that change nothing`, actual: logitsOf(model, batch), expected: before, tolerance: 1e-5, relativeTo: "max" });
  const idle = sites.find(({ path }) => !seen.has(path));
  demand(idle === undefined, `${kind}: every site must run in a forward pass, got ${idle?.path} idle`);
  for (const undo of undos.filter((_, i) => i % 2 === 0)) undo();
  for (const undo of undos.filter((_, i) => i % 2 === 1).reverse()) undo();
  seen.clear();
  demand(sameBits(logitsOf(model, batch), before), `${kind}: logits must be as before when all wrappers are gone, got others`);
  demand(seen.size === 0, `${kind}: no wrapper may run after its undo, got ${[...seen][0]}`);
}

function demandPaths(model: Model): void {
  for (const kind of KINDS) {
    const paths = model.sites(kind).map(({ path }) => path);
    demand(new Set(paths).size === paths.length, `sites: paths of kind ${kind} must be unique, got ${paths.join(", ")}`);
    const first = paths[0] ?? "";
    const exact = new RegExp(`^${first.replaceAll(".", String.raw`\.`)}$`);
    demand(model.sites(kind, exact).length === Math.min(1, paths.length), `sites: ${exact} must choose one site of kind ${kind}, got ${model.sites(kind, exact).length}`);
    demand(model.sites(kind, /no such site/).length === 0, "sites: a pattern that matches nothing must choose nothing, got sites");
  }
  for (const { path, weight, dIn, dOut } of model.sites("linear")) demand(weight !== undefined && weight.shape[0] === dIn && weight.shape[1] === dOut, `sites: ${path} must have a weight [${dIn},${dOut}], got [${weight?.shape}]`);
}

function demandReplace({ batch }: ModelFamilySubject, model: Model): void {
  const before = logitsOf(model, batch);
  const site = model.sites("linear").find(({ layer }) => layer !== undefined);
  demand(site?.weight !== undefined, "sites: a layer must have a linear site with a weight, got none");
  const { path, weight } = site;
  const other = (factor: number): DenseWeight => new DenseWeight(new ops.Variable(`${path}.weight`, ops.scope(() => ops.scale(weight.dense(), factor)), { trainable: false }));
  const [same, doubled] = [other(1), other(2)];
  model.replaceWeight(path, doubled);
  demand(!sameBits(logitsOf(model, batch), before), `replaceWeight: another matrix at ${path} must change the logits, got the same`);
  model.replaceWeight(path, same);
  demand(sameBits(logitsOf(model, batch), before), `replaceWeight: the same matrix at ${path} must give the same logits, got others`);
}

async function demandRoundTrip(subject: ModelFamilySubject): Promise<void> {
  await onModel(subject, async (model) => {
    const exported = [...model.exportParameters()];
    const again = await build(subject, sourceOf(exported), 2);
    try {
      demand(sameBits(logitsOf(again, subject.batch), logitsOf(model, subject.batch)), "build: a model of exported parameters must give the same logits, got others");
      const found = new Map([...again.exportParameters()].map((array) => [array.name, array]));
      for (const { name, shape, values } of exported) {
        const other = found.get(name);
        demand(other !== undefined && other.shape.join() === shape.join() && sameBits(other.values, values), `exportParameters: ${name} must be exported as it was imported, got something else`);
      }
    } finally {
      again.dispose();
    }
  });
}

async function demandStrict(subject: ModelFamilySubject): Promise<void> {
  await onModel(subject, async (model) => {
    const exported = [...model.exportParameters()];
    const [first, ...rest] = exported;
    demand(first !== undefined, "exportParameters: must give parameters, got none");
    const { tensors } = ops.memory();
    const refuse = (code: RegExp, arrays: typeof exported, what: string): Promise<string> => demandError(() => build(subject, sourceOf(arrays)), code, `build with ${what}`);
    await refuse(/^checkpoint\.missing$/, rest, `${first.name} missing`);
    await refuse(/^checkpoint\.unexpected$/, [...exported, { name: "no.such.tensor", shape: [1], values: new Float32Array(1) }], "a tensor that is not the model's");
    await refuse(/^checkpoint\.shape$/, [{ ...first, shape: [...first.shape, 1] }, ...rest], `${first.name} misshapen`);
    demand(ops.memory().tensors === tensors, `build: a refusal must leave no tensor behind, got ${ops.memory().tensors - tensors}`);
  });
}
