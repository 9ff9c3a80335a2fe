/** A random T5 of a published shape with LoRA and imposed densities, for `skipping-xl.ts`. */
import { openModelFolder } from "@deft-js/checkpoint";
import { batchTensors, MODEL_FAMILY, mlpBlocks, ops, PEFT_METHOD, type HostBatch, type Kernel, type MlpBlock, type Model, type ModelConfig } from "@deft-js/core";

/** A block that a plan passes over, as the method `gates` takes it. */
export interface PlannedBlock {
  readonly path: string;
  readonly weights: readonly string[];
}

/** What is loaded, and how. */
export interface ImposedOptions {
  readonly folder: string;
  readonly kernel: Kernel;
  /** Blocks whose matrices are not read. */
  readonly skip: readonly PlannedBlock[];
  /** Encoder tokens of the one row. */
  readonly tokens: number;
  readonly density: Readonly<Record<"encoder" | "decoder", number>>;
}

/** A model with imposed densities, and the row that they were laid on. */
export interface Imposed {
  readonly model: Model;
  readonly host: HostBatch;
  readonly seconds: number;
}

/** The largest x whose gelu_new is exactly 0 in float32; a ReLU's is 0. */
const zeroOf = (config: ModelConfig): number => (String(config["feed_forward_proj"]).includes("gelu") ? -5.06138 : 0);

/** Blocks spread over both stacks, the first layer kept while others can be had; by the T5 names, since the plan is made before the model is. */
export function plannedBlocks(config: ModelConfig, count: number): PlannedBlock[] {
  const gated = String(config["feed_forward_proj"]).startsWith("gated");
  const layers = Number(config["num_layers"]);
  const half = Math.floor(count / 2);
  const of = (stack: "encoder" | "decoder", n: number): PlannedBlock[] =>
    Array.from({ length: n }, (_, i) => layers - 1 - Math.floor((i * layers) / n)).map((layer) => {
      const path = `${stack}.block.${layer}.layer.${stack === "encoder" ? 1 : 2}.DenseReluDense`;
      return { path, weights: [...(gated ? ["wi_0", "wi_1"] : ["wi"]), "wo"].map((name) => `${path}.${name}`) };
    });
  return [...of("encoder", count - half), ...of("decoder", half)];
}

/** Loads the model, attaches LoRA and the plan, and imposes densities on the blocks that are run. */
export async function imposedModel({ folder, kernel, skip, tokens, density }: ImposedOptions): Promise<Imposed> {
  const { config, source } = await openModelFolder(folder);
  const methods = [kernel.create(PEFT_METHOD, "lora", { rank: 8, alpha: 16 }), ...(skip.length > 0 ? [kernel.create(PEFT_METHOD, "gates", { strategy: "scalar", skip })] : [])];
  const from = performance.now();
  const model = await kernel.create(MODEL_FAMILY, "t5").build({ config, head: "language-model", source, rng: new ops.Rng(0), absent: (path) => methods.some((method) => method.absent?.(path) === true) });
  const seconds = (performance.now() - from) / 1000;
  for (const method of methods) for (const variable of method.attach(model, new ops.Rng(2)).variables) variable.trainable = false;
  const host = batchOf(Number(config["vocab_size"]), tokens);
  impose(model, mlpBlocks(model).filter(({ mlp }) => !skip.some(({ path }) => path === mlp.path)), host, density);
  return { model, host, seconds };
}

function batchOf(vocabulary: number, tokens: number): HostBatch {
  const rng = new ops.Rng(1);
  const ids = (n: number): Int32Array => Int32Array.from({ length: n }, () => 2 + rng.integer(vocabulary - 130));
  return { size: 1, seq: tokens, inputIds: ids(tokens), attentionMask: new Float32Array(tokens).fill(1), labels: ids(8), labelSeq: 8 };
}

/** Logits of a forward pass; throws where one is not finite. */
export function forward(model: Model, host: HostBatch): void {
  const logits = ops.scope(() => ops.read(model.forward(batchTensors(host)).logits));
  if (!Number.isFinite(logits[0]) || logits.some(Number.isNaN)) throw new Error("skipping-xl: logits must be finite.");
}

/** Takes a constant from each block's pre-activations, layer after layer in one pass, since what a layer sees depends on those before it. */
function impose(model: Model, blocks: readonly MlpBlock[], host: HostBatch, density: ImposedOptions["density"]): void {
  const zero = zeroOf(model.config);
  const shifts = new Map<MlpBlock, ops.Tensor>();
  for (const block of blocks)
    (block.gate ?? block.up).wrap((x, base) => {
      const pre = base(x);
      let shift = shifts.get(block);
      if (shift === undefined) {
        const sorted = ops.read(pre).sort();
        const at = sorted[Math.min(sorted.length - 1, Math.floor((1 - density[block.stack]) * sorted.length))] as number;
        shifts.set(block, (shift = ops.tf.keep(ops.scalar(at - zero))));
      }
      return ops.sub(pre, shift);
    });
  forward(model, host);
}

/** Share of activations that are not exactly 0 in a forward pass, of the blocks that are run, by stack. */
export function densities(model: Model, host: HostBatch): Readonly<Record<"encoder" | "decoder", number>> {
  const counted = { encoder: [0, 0], decoder: [0, 0] } as Record<"encoder" | "decoder", [number, number]>;
  const undos = mlpBlocks(model).map(({ activation, stack }) =>
    activation.wrap((x, base) => {
      const y = base(x);
      const values = ops.read(y);
      counted[stack][0] += values.reduce((n, v) => n + Number(v !== 0), 0);
      counted[stack][1] += values.length;
      return y;
    }, "post"),
  );
  forward(model, host);
  for (const off of undos) off();
  const share = ([some, of]: [number, number]): number => Number((some / of).toFixed(4));
  return { encoder: share(counted.encoder), decoder: share(counted.decoder) };
}
