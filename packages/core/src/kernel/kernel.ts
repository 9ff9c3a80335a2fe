import "reflect-metadata";
import semver from "semver";
import { container as root, type DependencyContainer } from "tsyringe";
import { DeftError } from "@deft-js/tensor";
import type { Contribution, ExtensionPoint } from "./extension.ts";
import { validOptions } from "../method/options.ts";
import { CORE, type Plugin } from "./plugin.ts";

interface Registered {
  readonly plugin: string;
  readonly contribution: Contribution<unknown>;
}

type Brought = readonly [point: ExtensionPoint<unknown>, contribution: Contribution<unknown>];

/** The microkernel: plugins come in here, everything else asks it for contributions by extension point and id. */
export class Kernel {
  readonly #container: DependencyContainer;
  readonly #plugins = new Map<string, Plugin>();

  readonly #parent: Kernel | undefined;

  constructor(parent?: Kernel) {
    this.#parent = parent;
    this.#container = (parent === undefined ? root : parent.#container).createChildContainer();
    for (const plugin of parent?.plugins ?? []) this.#plugins.set(plugin.name, plugin);
  }

  /** A kernel that sees this one's contributions and may have more: one for each run. */
  child(): Kernel {
    return new Kernel(this);
  }

  get plugins(): readonly Plugin[] {
    return [...this.#plugins.values()];
  }

  /**
   * Takes plugins in. All requirements are checked over the whole set first, then each registers.
   * @throws DeftError `plugin.invalid`, `plugin.core`, `plugin.copy`, `plugin.requires`, `plugin.duplicate`, `plugin.load` when one throws what is no DeftError
   */
  use(...plugins: readonly Plugin[]): this {
    const fresh = plugins.filter((plugin) => !this.#isKnown(plugin));
    const capabilities = new Set([...this.#plugins.values(), ...fresh].flatMap((plugin) => [plugin.name, ...(plugin.provides ?? [])]));
    for (const plugin of fresh) {
      for (const needed of plugin.requires ?? [])
        if (!capabilities.has(needed)) throw new DeftError("plugin.requires", `plugin ${plugin.name}: requires ${needed}, got none that provides it. Install and name a plugin that does.`);
    }
    for (const plugin of fresh) {
      if (this.#isKnown(plugin)) continue; // named twice
      for (const [point, contribution] of this.#brought(plugin)) this.#container.register<Registered>(point.token, { useValue: { plugin: plugin.name, contribution } });
      this.#plugins.set(plugin.name, plugin);
    }
    return this;
  }

  /** All contributions to an extension point, in order of registration. */
  contributions<T>(point: ExtensionPoint<T>): readonly (Contribution<T> & { readonly plugin: string })[] {
    return this.#registered(point).map(({ plugin, contribution }) => ({ ...(contribution as Contribution<T>), plugin }));
  }

  /**
   * Makes the contribution with this id from options, which its schema validates first.
   * @throws DeftError `plugin.unknown` when there is none, `options.invalid` when the options do not fit
   */
  create<T>(point: ExtensionPoint<T>, id: string, options: unknown = {}): T {
    const found = this.#registered(point).find(({ contribution }) => contribution.id === id);
    if (found === undefined) {
      const known = this.contributions(point).map((c) => c.id);
      throw new DeftError("plugin.unknown", `${point.name}: ${JSON.stringify(id)} is not known, got it in the recipe. Known: ${known.join(", ") || "none"}; install the plugin that brings it.`);
    }
    const contribution = found.contribution as Contribution<T>;
    const made = contribution.create(validated(`${point.name} ${id}`, contribution, options) as never);
    const { id: own, options: kept } = (made ?? {}) as { readonly id?: unknown; readonly options?: unknown };
    if (typeof made !== "object" || made === null || (own !== undefined && own !== id))
      throw new DeftError("plugin.invalid", `plugin ${found.plugin}: what ${point.name} ${id} makes must carry that id, by which it is found again, got ${own === undefined ? String(made) : JSON.stringify(own)}. Correct create.`);
    if (point.recorded === true && contribution.options === undefined && typeof kept === "object" && kept !== null && Object.keys(kept).length > 0)
      throw new DeftError("plugin.invalid", `plugin ${found.plugin}: ${point.name} ${id} must have a schema for the options that it records, by which it is made again, got ${JSON.stringify(kept)} without one. Give the contribution \`options\`.`);
    return made;
  }

  #registered(point: ExtensionPoint<unknown>): readonly Registered[] {
    const own = this.#container.isRegistered(point.token) ? this.#container.resolveAll<Registered>(point.token) : [];
    return this.#parent === undefined ? own : [...this.#parent.#registered(point), ...own];
  }

  /** What a plugin registers, all of it checked: one that fails brings nothing. */
  #brought(plugin: Plugin): readonly Brought[] {
    const brought: Brought[] = [];
    try {
      plugin.register({ add: (point, contribution) => brought.push(this.#checked(plugin, point, contribution as Contribution<unknown>, brought)) });
      return brought;
    } catch (cause) {
      if (cause instanceof DeftError) throw cause;
      throw new DeftError("plugin.load", `plugin ${plugin.name}: must register, got ${cause instanceof Error ? cause.message : String(cause)}. Correct or reinstall it.`, { cause });
    }
  }

  #checked(plugin: Plugin, point: ExtensionPoint<unknown>, contribution: Contribution<unknown>, before: readonly Brought[]): Brought {
    checkContribution(plugin.name, point, contribution);
    const { id } = contribution;
    const taken = this.#registered(point).find((other) => other.contribution.id === id)?.plugin ?? (before.some(([at, other]) => at.token === point.token && other.id === id) ? plugin.name : undefined);
    if (taken !== undefined) throw new DeftError("plugin.duplicate", `${point.name}: the id ${id} must be unique, got it from ${taken} and from ${plugin.name}. Leave one of them out.`);
    return [point, contribution];
  }

  #isKnown(plugin: Plugin): boolean {
    checkPlugin(plugin);
    const present = this.#plugins.get(plugin.name);
    if (present === undefined || present === plugin) return present === plugin;
    throw new DeftError("plugin.duplicate", `plugin ${plugin.name}: must be loaded once, got versions ${present.version} and ${plugin.version}. Remove one of them.`);
  }
}

function checkContribution(who: string, point: ExtensionPoint<unknown>, contribution: Contribution<unknown>): void {
  const wrong = (rule: string, got: unknown): DeftError => new DeftError("plugin.invalid", `plugin ${who}: ${rule}, got ${String(got)}. Correct register.`);
  if (typeof point?.token !== "symbol") throw wrong("an extension point must be one of core's tokens or made by extensionPoint", point);
  const { id, create, options } = contribution ?? {};
  if (typeof id !== "string" || id === "") throw wrong(`a contribution to ${point.name} must have an id`, JSON.stringify(id));
  if (typeof create !== "function") throw wrong(`${point.name} ${id} must have a function create`, create);
  if (options !== undefined && typeof options.meta !== "function") throw wrong(`the options of ${point.name} ${id} must be a schema of zod 4`, options);
}

function checkPlugin(plugin: Plugin): void {
  const name = typeof plugin?.name === "string" ? plugin.name : String(plugin);
  if (typeof plugin?.register !== "function" || plugin.definedBy === undefined)
    throw new DeftError("plugin.invalid", `plugin ${name}: must be made by definePlugin, got something else. Export definePlugin({…}) as default.`);
  if (semver.validRange(plugin.core) === null || !semver.satisfies(CORE.version, plugin.core))
    throw new DeftError("plugin.core", `plugin ${name}: needs core ${plugin.core}, got core ${CORE.version}. Install matching versions of both.`);
  if (plugin.definedBy.url !== CORE.url)
    throw new DeftError("plugin.copy", `plugin ${name}: must share one copy of @deft-js/core, got ${plugin.definedBy.url} beside ${CORE.url}. Make core a peer dependency and run \`npm dedupe\`.`);
}

function validated(who: string, contribution: Contribution<unknown>, options: unknown): unknown {
  if (contribution.options === undefined) {
    if (options !== null && typeof options === "object" && Object.keys(options).length > 0)
      throw new DeftError("options.invalid", `${who}: takes no options, got ${Object.keys(options).join(", ")}. Remove them.`);
    return options;
  }
  return validOptions(contribution.options, options ?? {}, { who, remedy: "Correct the recipe; `deft plugins` lists the options." });
}
