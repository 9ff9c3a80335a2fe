import { DeftError, read, scope, squaredNorms, sums, type Rng, type Variable } from "@deft-js/tensor";
import type { AttachContext, Attachment, PeftMethod } from "../contracts/method.ts";
import type { Model, NamedArray } from "../contracts/model.ts";
import { biasesOf, install, memberOf, recordedModel, uninstall, weightAt, type Originals, type RecordedWrap } from "./recorded-model.ts";

interface Held {
  readonly method: PeftMethod;
  readonly rng: Rng;
  readonly context: AttachContext | undefined;
  readonly wraps: Set<RecordedWrap>;
  /** As the method made it; made anew by every unmerge. */
  readonly own: Attachment;
  /** What is given out for it, as long as the name is held: it is the set that merges. */
  readonly attachment: Attachment;
}

interface Merged {
  readonly names: readonly string[];
  readonly states: ReadonlyMap<string, readonly NamedArray[]>;
  /** The biases before. */
  readonly biases: ReadonlyMap<Variable, Float32Array>;
  /** What the merge left, to see whether it was changed since. */
  readonly left: { readonly biases: ReadonlyMap<Variable, Float32Array>; readonly sums: readonly number[] };
}

/**
 * Several named attachments on one model, of which any selection is in use: switched without reloading, stacked in the order that is asked for (the
 * later is further out), merged and unmerged. Those that are not in use leave no trace in a forward pass. Works with every method, since it is the
 * wrappers that come and go.
 */
export class AdapterSet {
  readonly #model: Model;
  readonly #held = new Map<string, Held>();
  /** The weights that merged ones stand in for. */
  readonly #originals: Originals = new Map();
  #used: readonly string[] = [];
  #merged: Merged | undefined;
  /** What an asynchronous `with` uses until its promise settles. */
  #awaited: readonly string[] | undefined;

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
   * @param context for methods that ask for it: a prompt that starts from a text needs the tokenizer
   * @throws DeftError `adapters.name` when the name is taken, `adapters.merged` while merged, `adapters.busy`, and what the method throws
   */
  add(name: string, method: PeftMethod, rng: Rng, context?: AttachContext): Attachment {
    this.#checkFree("add");
    if (this.#held.has(name)) throw new DeftError("adapters.name", `adapters: names must be unique, got ${name} twice. Choose another or remove the first.`);
    return this.#attach(name, { method, rng, context });
  }

  /** The attachment with this name. @throws DeftError `adapters.name` */
  get(name: string): Attachment {
    return this.#of(name).attachment;
  }

  /**
   * Uses these alone, the later around the earlier.
   * @throws DeftError `adapters.name` for a name that is unknown or comes twice, `adapters.merged` while merged, `adapters.busy`
   */
  use(names: string | readonly string[]): void {
    this.#checkFree("use");
    const chosen = [names].flat();
    const twice = chosen.find((name, i) => chosen.indexOf(name) !== i);
    if (twice !== undefined) throw new DeftError("adapters.name", `adapters: each may be used once, got ${twice} twice. Name it once.`);
    const held = chosen.map((name) => this.#of(name));
    for (const { wraps } of this.#held.values()) uninstall(wraps);
    for (const { wraps } of held) install(wraps);
    this.#used = chosen;
  }

  /** Uses none: the model is as if nothing were attached. @throws DeftError `adapters.merged` while merged, `adapters.busy` */
  without(): void {
    this.use([]);
  }

  /**
   * Uses a selection for one call, then what was in use before. Of an asynchronous body that is when its promise settles: until then the set stays as it is.
   * @throws DeftError what `use` throws; `adapters.busy` from whatever would change the set before the promise settled
   */
  with<T>(names: string | readonly string[], body: () => T): T {
    const before = this.#used;
    this.use(names);
    let result: T;
    try {
      result = body();
    } catch (error) {
      this.use(before);
      throw error;
    }
    if (!isPromise(result)) {
      this.use(before);
      return result;
    }
    this.#awaited = this.#used;
    const done = (): void => {
      this.#awaited = undefined;
      this.use(before);
    };
    return Promise.resolve(result).finally(done) as T;
  }

  /** Detaches one. @throws DeftError `adapters.name`, `adapters.merged` while merged, `adapters.busy` */
  remove(name: string): void {
    this.#checkFree("remove");
    this.#of(name).attachment.detach();
    this.#held.delete(name);
    this.#used = this.#used.filter((other) => other !== name);
  }

  /**
   * Folds those in use into one matrix for each linear layer, in the order of their use: the model computes with it, and a model folder that is written holds it. The model's own weights are kept, in their format, for `unmerge`.
   * @throws DeftError `adapters.merge` when one in use cannot be merged, `adapters.merged`, `adapters.busy`, and what a merge throws: nothing has changed then
   */
  merge(): void {
    this.#checkFree("merge");
    const names = this.#used;
    const stuck = names.find((name) => this.#of(name).own.merge === undefined);
    if (stuck !== undefined) throw new DeftError("adapters.merge", `adapters: all that are in use must be mergeable, got ${stuck} (${this.get(stuck).method.id}). Use the others alone.`);
    const states = new Map(names.map((name) => [name, this.#of(name).own.state()]));
    const biases = biasesOf(this.#model);
    const left = [...names];
    try {
      for (const name of names) {
        this.#of(name).own.merge?.();
        left.shift();
      }
    } catch (error) {
      for (const name of left) this.#of(name).own.detach();
      this.#restore({ names, states, biases });
      throw error;
    }
    const changed = new Map([...biases].filter(([bias, before]) => !sameValues(bias.data(), before)));
    this.#merged = { names, states, biases: changed, left: { biases: new Map([...changed.keys()].map((bias) => [bias, bias.data()])), sums: this.#mergedSums() } };
  }

  /**
   * Takes the folded matrices away: the model's own weights and biases count again, bit for bit, with the attachments around them. Does nothing when not merged.
   * @throws DeftError `adapters.changed` when what the merge left has been changed since (trained, merged into): it would be lost
   */
  unmerge(): void {
    if (this.#merged === undefined) return;
    const { left } = this.#merged;
    if (this.#mergedSums().some((sum, i) => !Object.is(sum, left.sums[i])) || [...left.biases].some(([bias, values]) => !sameValues(bias.data(), values)))
      throw new DeftError("adapters.changed", `adapters: unmerge needs the weights as merge has left them, got others: what changed them since would be lost. Take it back, or commit and keep it.`);
    this.#restore(this.#merged);
  }

  /** Gives the model's own weights up for what is merged; the merged attachments are gone from the set. Does nothing when not merged. */
  commit(): void {
    if (this.#merged === undefined) return;
    for (const [path, own] of this.#originals) if (weightAt(this.#model, path) !== own) own.dispose();
    this.#originals.clear();
    for (const name of this.#merged.names) this.#held.delete(name);
    this.#merged = undefined;
    this.#used = [];
  }

  /** Unmerges and detaches all. Throws what `unmerge` throws. */
  dispose(): void {
    this.unmerge();
    for (const name of this.names) this.remove(name);
  }

  #restore({ names, states, biases }: Omit<Merged, "left">): void {
    for (const [path, own] of this.#originals) this.#model.replaceWeight(path, own);
    this.#originals.clear();
    for (const [bias, values] of biases) bias.load(values);
    this.#merged = undefined;
    for (const name of names) this.#attach(name, this.#of(name)).loadState(states.get(name) ?? []);
    this.use(names);
  }

  /** Σ and Σ of squares of every merged matrix: other numbers for nearly every change. */
  #mergedSums(): readonly number[] {
    return scope(() => {
      const matrices = [...this.#originals.keys()].flatMap((path) => weightAt(this.#model, path)?.dense() ?? []);
      return matrices.length === 0 ? [] : [sums(matrices), squaredNorms(matrices)].flatMap((tensor) => [...read(tensor)]);
    });
  }

  #attach(name: string, { method, rng, context }: Pick<Held, "method" | "rng" | "context">): Attachment {
    const wraps = new Set<RecordedWrap>();
    const own = method.attach(recordedModel(this.#model, wraps, this.#originals), rng, context);
    const attachment = this.#held.get(name)?.attachment ?? this.#handle(name);
    this.#held.set(name, { method, rng, context, wraps, own, attachment });
    return attachment;
  }

  /** What stands for an attachment outside, whichever one it is by now. */
  #handle(name: string): Attachment {
    const refuse = (): never => {
      throw new DeftError("adapters.merge", `adapters: ${name} must be merged by the set that holds it, got merge of its attachment. Call merge of the set, and commit before the model is written.`);
    };
    return new Proxy({} as Attachment, {
      get: (_, key) => {
        const { own } = this.#of(name);
        if (key === "merge") return own.merge === undefined ? undefined : refuse;
        if (this.#merged?.names.includes(name) === true && ["variables", "state", "loadState", "detach"].includes(key as string)) this.#checkFree(`${String(key)} of ${name}`);
        return memberOf(own, key);
      },
      has: (_, key) => key in this.#of(name).own,
    });
  }

  #of(name: string): Held {
    const held = this.#held.get(name);
    if (held === undefined) throw new DeftError("adapters.name", `adapters: ${name} must be one that was added, got no such. Known: ${this.names.join(", ") || "none"}.`);
    return held;
  }

  #checkFree(what: string): void {
    if (this.#awaited !== undefined) throw new DeftError("adapters.busy", `adapters: ${what} must wait for what was begun with ${this.#awaited.join(", ") || "none"} in use, got it before its promise settled. Await it first.`);
    if (this.#merged !== undefined) throw new DeftError("adapters.merged", `adapters: ${what} needs them unmerged, got ${this.#merged.names.join(", ") || "them"} merged. Call unmerge first.`);
  }
}

function sameValues(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}
