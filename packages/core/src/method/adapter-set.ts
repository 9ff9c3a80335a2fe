import { DeftError, type Rng, type Variable } from "@deft-js/tensor";
import type { Attachment, PeftMethod } from "../contracts/method.ts";
import type { Model, NamedArray } from "../contracts/model.ts";
import { biasesOf, install, recordedModel, uninstall, type Overlays, type RecordedWrap } from "./recorded-model.ts";

interface Held {
  readonly method: PeftMethod;
  readonly rng: Rng;
  readonly wraps: Set<RecordedWrap>;
  readonly attachment: Attachment;
}

interface Merged {
  readonly states: ReadonlyMap<string, readonly NamedArray[]>;
  readonly biases: ReadonlyMap<Variable, Float32Array>;
  readonly names: readonly string[];
}

/**
 * Several named attachments on one model, of which any selection is in use: switched without reloading, stacked in the order that is asked for (the
 * later is further out), merged and unmerged. Those that are not in use leave no trace in a forward pass. Works with every method, since it is the
 * wrappers that come and go.
 */
export class AdapterSet {
  readonly #model: Model;
  readonly #held = new Map<string, Held>();
  readonly #overlays: Overlays = new Map();
  #used: readonly string[] = [];
  #merged: Merged | undefined;

  constructor(model: Model) {
    this.#model = model;
  }

  /** All names, in the order in which they were added. */
  get names(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** The names in use, innermost first. */
  get used(): readonly string[] {
    return this.#used;
  }

  /** The attachments in use: what `train` is to be given. */
  get attachments(): readonly Attachment[] {
    return this.#used.map((name) => this.get(name));
  }

  /**
   * Attaches a method under a name, not in use yet.
   * @throws DeftError `adapters.name` when the name is taken, `adapters.merged` while merged, and what the method throws
   */
  add(name: string, method: PeftMethod, rng: Rng): Attachment {
    this.#checkUnmerged("add");
    if (this.#held.has(name)) throw new DeftError("adapters.name", `adapters: names must be unique, got ${name} twice. Choose another or remove the first.`);
    return this.#attach(name, method, rng);
  }

  /** The attachment with this name. @throws DeftError `adapters.name` */
  get(name: string): Attachment {
    return this.#of(name).attachment;
  }

  /**
   * Uses these alone, the later around the earlier.
   * @throws DeftError `adapters.name` for a name that is unknown or comes twice, `adapters.merged` while merged
   */
  use(names: string | readonly string[]): void {
    this.#checkUnmerged("use");
    const chosen = [names].flat();
    const twice = chosen.find((name, i) => chosen.indexOf(name) !== i);
    if (twice !== undefined) throw new DeftError("adapters.name", `adapters: each may be used once, got ${twice} twice. Name it once.`);
    const held = chosen.map((name) => this.#of(name));
    for (const { wraps } of this.#held.values()) uninstall(wraps);
    for (const { wraps } of held) install(wraps);
    this.#used = chosen;
  }

  /** Uses none: the model is as if nothing were attached. @throws DeftError `adapters.merged` while merged */
  without(): void {
    this.use([]);
  }

  /** Uses a selection for one call, then what was in use before. */
  with<T>(names: string | readonly string[], body: () => T): T {
    const before = this.#used;
    this.use(names);
    try {
      return body();
    } finally {
      this.use(before);
    }
  }

  /** Detaches one. @throws DeftError `adapters.name`, `adapters.merged` while merged */
  remove(name: string): void {
    this.#checkUnmerged("remove");
    this.#of(name).attachment.detach();
    this.#held.delete(name);
    this.#used = this.#used.filter((other) => other !== name);
  }

  /**
   * Folds those in use into one matrix for each linear layer, in the order of their use. The model's own weights stay beside them for `unmerge`, in their format.
   * @throws DeftError `adapters.merge` when one in use cannot be merged, `adapters.merged`, and what a merge throws: nothing has changed then
   */
  merge(): void {
    this.#checkUnmerged("merge");
    const stuck = this.#used.find((name) => this.get(name).merge === undefined);
    if (stuck !== undefined) throw new DeftError("adapters.merge", `adapters: all that are in use must be mergeable, got ${stuck} (${this.get(stuck).method.id}). Use the others alone.`);
    const names = this.#used;
    const states = new Map(names.map((name) => [name, this.get(name).state()]));
    this.#merged = { names, states, biases: biasesOf(this.#model) };
    const left = [...names];
    try {
      for (const name of names) {
        this.get(name).merge?.();
        left.shift();
      }
    } catch (error) {
      for (const name of left) this.get(name).detach();
      this.unmerge();
      throw error;
    }
  }

  /** Takes the folded matrices away: the model's own weights and biases count again, bit for bit, with the attachments around them. Does nothing when not merged. */
  unmerge(): void {
    if (this.#merged === undefined) return;
    const { names, states, biases } = this.#merged;
    for (const { weight, undo } of this.#overlays.values()) {
      undo();
      weight.dispose();
    }
    this.#overlays.clear();
    for (const [bias, values] of biases) bias.load(values);
    this.#merged = undefined;
    for (const name of names) {
      const { method, rng } = this.#of(name);
      this.#attach(name, method, rng).loadState(states.get(name) ?? []);
    }
    this.use(names);
  }

  /** Unmerges and detaches all. */
  dispose(): void {
    this.unmerge();
    for (const name of this.names) this.remove(name);
  }

  #attach(name: string, method: PeftMethod, rng: Rng): Attachment {
    const wraps = new Set<RecordedWrap>();
    const attachment = method.attach(recordedModel(this.#model, wraps, this.#overlays), rng);
    this.#held.set(name, { method, rng, wraps, attachment });
    return attachment;
  }

  #of(name: string): Held {
    const held = this.#held.get(name);
    if (held === undefined) throw new DeftError("adapters.name", `adapters: ${name} must be one that was added, got no such. Known: ${this.names.join(", ") || "none"}.`);
    return held;
  }

  #checkUnmerged(what: string): void {
    if (this.#merged !== undefined) throw new DeftError("adapters.merged", `adapters: ${what} needs them unmerged, got ${this.#merged.names.join(", ") || "them"} merged. Call unmerge first.`);
  }
}
