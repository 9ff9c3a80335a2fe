import { Variable } from "@deft-js/tensor";
import type { Model } from "../contracts/model.ts";
import type { Around, Site, SiteKind, Unwrap, WrapOrder } from "../contracts/site.ts";
import type { Weight } from "../contracts/weight.ts";
import { unwrap } from "../model/site-point.ts";

/** A wrapper that a method asked for: it stands at its site only while it is installed. */
export interface RecordedWrap {
  readonly site: Site;
  readonly around: Around<SiteKind>;
  readonly order: WrapOrder | undefined;
  undo?: Unwrap | undefined;
}

/** The model's own weights that others stand in for, by the linear site's path. */
export type Originals = Map<string, Weight>;

/**
 * The model as a method sees it that is to be switched: wrappers are recorded in `wraps` instead of installed, and the weights that a merge replaces are kept
 * in `originals`. Everything else is the model.
 */
export function recordedModel(model: Model, wraps: Set<RecordedWrap>, originals: Originals): Model {
  const siteOf = (site: Site): Site => over(site, { wrap: (around: Around<SiteKind>, order?: WrapOrder) => recordWrap(wraps, { site, around, order }) });
  return over(model, {
    sites: (kind: SiteKind, pattern?: RegExp) => model.sites(kind, pattern).map((site) => siteOf(site)),
    replaceWeight: (path: string, weight: Weight) => {
      const own = weightAt(model, path);
      const isFirst = own !== undefined && !originals.has(path);
      model.replaceWeight(path, weight, { keep: isFirst });
      if (isFirst) originals.set(path, own);
    },
  });
}

/** The weight of the linear site with this path. */
export function weightAt(model: Model, path: string): Weight | undefined {
  return model.sites("linear").find((site) => site.path === path)?.weight;
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

function recordWrap(wraps: Set<RecordedWrap>, wrap: RecordedWrap): Unwrap {
  wraps.add(wrap);
  return unwrap(() => {
    uninstall([wrap]);
    wraps.delete(wrap);
  }, () => wrap.undo?.innermost === true);
}

/** An object with some members of one's own before those of another. */
export function over<T extends object>(target: T, members: Readonly<Record<string, unknown>>): T {
  return new Proxy(target, {
    get(_, key) {
      const own = typeof key === "string" && Object.hasOwn(members, key) ? members[key] : undefined;
      return own ?? memberOf(target, key);
    },
  });
}

/** A member, bound to its object where it is a method. */
export function memberOf(target: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key, target);
  return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
}

/** The biases of linear and norm sites with their values now. */
export function biasesOf(model: Model): ReadonlyMap<Variable, Float32Array> {
  const sites: readonly Site[] = [...model.sites("linear"), ...model.sites("norm")] as readonly Site[];
  return new Map(sites.flatMap(({ bias }) => (bias instanceof Variable ? [[bias, bias.data()] as const] : [])));
}
