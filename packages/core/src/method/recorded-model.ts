import { Variable } from "@deft-js/tensor";
import type { Model } from "../contracts/model.ts";
import type { Around, Site, SiteKind, WrapOrder } from "../contracts/site.ts";
import type { Weight } from "../contracts/weight.ts";

/** A wrapper that a method asked for: it stands at its site only while it is installed. */
export interface RecordedWrap {
  readonly site: Site;
  readonly around: Around<SiteKind>;
  readonly order: WrapOrder | undefined;
  undo?: (() => void) | undefined;
}

/** Weights that stand before the model's own, by the linear site's path. */
export type Overlays = Map<string, { readonly weight: Weight; readonly undo: () => void }>;

/**
 * The model as a method sees it that is to be switched: wrappers are recorded in `wraps` instead of installed, and weights that a merge puts in place stand
 * in front of the model's own, which stay. Everything else is the model.
 */
export function recordedModel(model: Model, wraps: Set<RecordedWrap>, overlays: Overlays): Model {
  const siteOf = (site: Site): Site => over(site, {
    wrap: (around: Around<SiteKind>, order?: WrapOrder) => recordWrap(wraps, { site, around, order }),
    weight: () => overlays.get(site.path)?.weight ?? site.weight,
  }, ["weight"]);
  return over(model, {
    sites: (kind: SiteKind, pattern?: RegExp) => model.sites(kind, pattern).map((site) => siteOf(site)),
    replaceWeight: (path: string, weight: Weight) => overlay(model, overlays, path, weight),
  });
}

/** Installs the wrappers in their order; those that stand already go first. */
export function install(wraps: Iterable<RecordedWrap>): void {
  for (const wrap of wraps) wrap.undo = wrap.site.wrap(wrap.around, wrap.order);
}

/** Takes the wrappers from their sites. */
export function uninstall(wraps: Iterable<RecordedWrap>): void {
  for (const wrap of wraps) {
    wrap.undo?.();
    wrap.undo = undefined;
  }
}

function recordWrap(wraps: Set<RecordedWrap>, wrap: RecordedWrap): () => void {
  wraps.add(wrap);
  return () => {
    uninstall([wrap]);
    wraps.delete(wrap);
  };
}

/** x·W′ + b in the place of the site's own function. */
function overlay(model: Model, overlays: Overlays, path: string, weight: Weight): void {
  const site = model.sites("linear").find((one) => one.path === path);
  const before = overlays.get(path);
  before?.undo();
  before?.weight.dispose();
  const undo = site?.wrap((x) => weight.apply(x, site.bias?.value), "pre");
  overlays.set(path, { weight, undo: () => undo?.() });
}

/** An object with some members of one's own before those of another; `getters` names those that are functions of no argument to be read. */
export function over<T extends object>(target: T, members: Readonly<Record<string, unknown>>, getters: readonly string[] = []): T {
  return new Proxy(target, {
    get(_, key) {
      const own = typeof key === "string" && Object.hasOwn(members, key) ? members[key] : undefined;
      if (own !== undefined) return getters.includes(key as string) ? (own as () => unknown)() : own;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** The biases of linear and norm sites with their values now. */
export function biasesOf(model: Model): ReadonlyMap<Variable, Float32Array> {
  const sites: readonly Site[] = [...model.sites("linear"), ...model.sites("norm")] as readonly Site[];
  return new Map(sites.flatMap(({ bias }) => (bias instanceof Variable ? [[bias, bias.data()] as const] : [])));
}
