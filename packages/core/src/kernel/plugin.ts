import { CORE_VERSION } from "../version.ts";
import type { Contribution, ExtensionPoint } from "./extension.ts";

/** Where a plugin registers what it brings. */
export interface Registry {
  add<T>(point: ExtensionPoint<T>, contribution: Contribution<T>): void;
}

/** What a plugin says of itself. */
export interface PluginDefinition {
  /** The package's name. */
  readonly name: string;
  readonly version: string;
  /** The range of core versions that it works with, e.g. `^0.1`. */
  readonly core: string;
  /** Capabilities that other plugins may require; its own name is always one. */
  readonly provides?: readonly string[];
  /** Capabilities that must be there, whichever plugin brings them. */
  readonly requires?: readonly string[];
  /** Adds the contributions; called once, when the plugin is taken in. */
  register(registry: Registry): void;
}

/** A plugin made by this or another copy of core. */
export interface Plugin extends PluginDefinition {
  /** Which copy of core defined it. */
  readonly definedBy: CoreIdentity;
}

/** One loaded copy of core. */
export interface CoreIdentity {
  readonly version: string;
  readonly url: string;
}

/** This copy of core. */
export const CORE: CoreIdentity = Object.freeze({ version: CORE_VERSION, url: import.meta.url });

/** Declares a plugin: the default export of a plugin's package. Has no effect by itself. */
export function definePlugin(definition: PluginDefinition): Plugin {
  return Object.freeze({ ...definition, definedBy: CORE });
}
