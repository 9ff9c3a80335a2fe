import { DeftError, mlpBlocks, ops, type Attachment, type MlpBlock, type Model, type NamedArray, type PeftMethod } from "@deft-js/core";
import { gatesSchema, validated, type GatesOptions, type GatesSettings, type SkippedBlock } from "./options.ts";
import { markGated } from "./presence.ts";
import { loadGates } from "./state.ts";
import { gateStrategy, type GateStrategy } from "./strategy.ts";

/** Standard deviation of the noise on θ at the start, as in the hard-concrete gates' paper. */
const DEVIATION = 0.01;

/**
 * Learned gates: every MLP block gives y = g·mlp(x), g one number made from a learned θ by a strategy. Blocks of a plan (`skip`) give zeros without being run, have
 * no gate, and their matrices are not read when a model is loaded with it. The idea is ADA-DEFT's (Runwal et al., 2025, arXiv:2402.01911), whose text leaves
 * the parametrisation open; the strategies here are this toolkit's.
 * @throws DeftError `options.invalid`; on attaching, `gates.target` when the model has no MLP blocks, `gates.skip` when a skipped block is not among them
 */
export function gates(settings: GatesSettings): PeftMethod {
  const options = validated("gates", gatesSchema, settings);
  const unread = new Set(options.skip.flatMap(({ weights }) => weights));
  const method: PeftMethod = {
    id: "gates",
    options,
    attach: (model, rng) => new Gates({ method, options, model, rng }),
    absent: (path) => unread.has(path),
    whole: () => (options.skip.length === 0 ? undefined : unskipped(options)),
  };
  return method;
}

/** Gates of which the plan's blocks are run as they were before it was made, each with its gate, which is no variable any more. */
function unskipped(options: GatesOptions): PeftMethod {
  const method: PeftMethod = { id: "gates", options, attach: (model, rng) => new Gates({ method, options, model, rng, plan: "ignore" }) };
  return method;
}

/** One block's gate, read. */
export interface GateReading {
  /** The path of the mlp site. */
  readonly path: string;
  readonly stack: "encoder" | "decoder";
  readonly layer: number;
  /** g in evaluation; 0 where the block is skipped. */
  readonly gate: number;
  readonly skipped: boolean;
}

interface Gate {
  readonly block: MlpBlock;
  readonly theta: ops.Variable;
}

const attached = new WeakMap<Model, Set<Gates>>();

/** The gates that are attached to a model, in the order in which they came. */
export function gatesOf(model: Model): readonly Gates[] {
  return [...(attached.get(model) ?? [])];
}

interface GatesInput {
  readonly method: PeftMethod;
  readonly options: GatesOptions;
  readonly model: Model;
  readonly rng: ops.Rng;
  /** Whether the plan's blocks are passed over; `follow` when left out. */
  readonly plan?: "follow" | "ignore";
}

/** Gates attached to a model. */
export class Gates implements Attachment {
  readonly method: PeftMethod;
  readonly options: GatesOptions;
  readonly variables: readonly ops.Variable[];
  readonly #model: Model;
  readonly #strategy: GateStrategy;
  readonly #blocks: readonly MlpBlock[];
  readonly #gates: readonly Gate[];
  readonly #undos: readonly (() => void)[];
  readonly #ignoresPlan: boolean;

  constructor({ method, options, model, rng, plan = "follow" }: GatesInput) {
    this.method = method;
    this.options = options;
    this.#model = model;
    this.#ignoresPlan = plan === "ignore";
    this.#strategy = gateStrategy(options);
    this.#blocks = blocksOf(model, options);
    const open = this.#blocks.filter(({ mlp, down }) => !this.#isSkipped(mlp.path) && down.weight?.format !== "absent");
    this.#gates = open.map((block) => ({ block, theta: ops.Variable.from(`${block.mlp.path}.gate`, Float32Array.of(rng.normal(this.#strategy.start, DEVIATION)), [1]) }));
    this.variables = this.#gates.map(({ theta }) => theta);
    const planned = this.#blocks.flatMap(({ mlp }) => options.skip.filter(({ path }) => path === mlp.path).map(({ theta }) => ({ mlp, theta })));
    this.#undos = [...this.#gates.flatMap((gate) => this.#wrap(gate)), ...planned.map(({ mlp, theta }) => (this.#ignoresPlan ? this.#hold(mlp, theta) : passOver(mlp)))];
    attached.set(model, (attached.get(model) ?? new Set()).add(this));
  }

  /** Every block's gate as evaluation takes it, encoder first; blocks that another plan left unread are not among them. */
  readings(): readonly GateReading[] {
    const values = new Map(this.#gates.map(({ block, theta }) => [block, this.#strategy.value(theta.data()[0] as number)]));
    return this.#blocks.flatMap((block) => {
      const { stack, layer, mlp } = block;
      const planned = this.options.skip.find(({ path }) => path === mlp.path);
      const skipped = planned !== undefined && !this.#ignoresPlan;
      const gate = planned === undefined ? values.get(block) : skipped ? 0 : this.#heldGate(planned.theta);
      return gate === undefined ? [] : [{ path: mlp.path, stack, layer, gate, skipped }];
    });
  }

  /** Passes a block over until the undo is called. */
  passOver(path: string): () => void {
    return passOver(this.#block(path).mlp);
  }

  /** Gates of the same values on the same model with these blocks passed over, too; these are detached. */
  skipping(paths: readonly string[]): Gates {
    const theta = new Map(this.variables.map((variable) => [variable.path, variable.data()[0] as number]));
    const skip = [...this.options.skip, ...paths.map((path) => ({ ...skippedBlock(this.#block(path)), theta: theta.get(`${path}.gate`) }))];
    const gone = new Set(paths.map((path) => `${path}.gate`));
    const kept = this.state().filter(({ name }) => !gone.has(name));
    this.detach();
    const next = gates({ ...this.options, skip }).attach(this.#model, new ops.Rng(0)) as Gates;
    next.loadState(kept);
    return next;
  }

  detach(): void {
    attached.get(this.#model)?.delete(this);
    for (const undo of this.#undos) undo();
    for (const variable of this.variables) variable.dispose();
  }

  state(): readonly NamedArray[] {
    return this.variables.map((variable) => ({ name: variable.path, shape: variable.shape, values: variable.data() }));
  }

  loadState(state: Iterable<NamedArray>): void {
    loadGates(this.variables, state);
  }

  #wrap({ block, theta }: Gate): readonly (() => void)[] {
    const strategy = this.#strategy;
    const gated = block.mlp.wrap((x, base, context) => ops.mul(base(x), strategy.gate(theta.value, context)));
    const marked = block.activation.wrap((x, base) => {
      const activation = base(x);
      markGated(activation, (progress) => strategy.presence(theta.value, progress));
      return activation;
    }, "post");
    return [gated, marked];
  }

  /** Runs a block of the plan with the gate that it had. */
  #hold(mlp: MlpBlock["mlp"], theta: number | undefined): () => void {
    const gate = this.#heldGate(theta);
    return mlp.wrap((x, base) => ops.scale(base(x), gate));
  }

  #heldGate(theta: number | undefined): number {
    return theta === undefined ? 1 : this.#strategy.value(theta);
  }

  #isSkipped(path: string): boolean {
    return this.options.skip.some((block) => block.path === path);
  }

  #block(path: string): MlpBlock {
    const block = this.#blocks.find(({ mlp }) => mlp.path === path);
    if (block === undefined) throw noBlock(path, this.#blocks);
    return block;
  }
}

/** The model's blocks; all that are to be skipped must be among them. */
function blocksOf(model: Model, { skip }: GatesOptions): readonly MlpBlock[] {
  const blocks = mlpBlocks(model);
  if (blocks.length === 0) throw new DeftError("gates.target", `gates: the model must have MLP blocks whose layers say their roles, got none in ${model.family}. Use another model.`);
  const unknown = skip.find(({ path }) => !blocks.some(({ mlp }) => mlp.path === path));
  if (unknown !== undefined) throw noBlock(unknown.path, blocks);
  return blocks;
}

/** Zeros in the block's place, without running it. */
function passOver(mlp: MlpBlock["mlp"]): () => void {
  return mlp.wrap((x) => ops.zeros(x.shape), "post");
}

function skippedBlock({ mlp, up, gate, down }: MlpBlock): SkippedBlock {
  return { path: mlp.path, weights: [up, ...(gate === undefined ? [] : [gate]), down].map(({ path }) => path) };
}

function noBlock(path: string, blocks: readonly MlpBlock[]): DeftError {
  return new DeftError("gates.skip", `gates: a skipped block must be one of the model's, got ${path}. Known: ${blocks.map(({ mlp }) => mlp.path).join(", ")}.`);
}
