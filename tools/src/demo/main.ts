/**
 * `npm run demo [-- --model bert|t5] [--backend NAME]`: fine-tunes an embedded checkpoint on a generated task twice, LoRA alone and LoRA with the
 * density loss, and shows both side by side. Offline.
 */
import { rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { ops, type EvaluationCompleted, type Reporter } from "@deft-js/core";
import { runRecipe } from "@deft-js/run";
import { demoOf, writeTask } from "./data.ts";

interface Shares {
  readonly exact: number;
}

interface Density {
  readonly layers: readonly (Shares & { readonly stack: string; readonly layer: number })[];
  /** Null for a stack that the model does not have. */
  readonly encoder: Shares | null;
  readonly decoder: Shares | null;
}

/** The last evaluation of a run, with a line of progress now and then. */
function watch(name: string, keep: (evaluation: EvaluationCompleted) => void): Reporter {
  return {
    id: "demo",
    connect: ({ events }) => {
      const subscription = events.subscribe((event) => {
        if (event.type === "step.completed" && event.step % 50 === 0) console.log(`  ${name}  step ${event.step}/${event.totalSteps}  loss ${event.loss.toFixed(3)}`);
        if (event.type === "evaluation.completed") keep(event);
      });
      return () => subscription.unsubscribe();
    },
  };
}

async function finetuned(name: "peft" | "deft", backend: string): Promise<{ accuracy: number; density: Density }> {
  let last: EvaluationCompleted | undefined;
  const output = join(demo.folder, name);
  await rm(output, { recursive: true, force: true });
  await runRecipe({ file: join(demo.example, `${name}.yaml`), output, backend, reporters: [watch(name.toUpperCase(), (evaluation) => (last = evaluation))] });
  if (last === undefined) throw new Error(`demo: ${name} must be evaluated, got no evaluation.`);
  return { accuracy: last.metrics["accuracy"] as number, density: last.reports["density"] as unknown as Density };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(9);

function table(peft: Awaited<ReturnType<typeof finetuned>>, deft: Awaited<ReturnType<typeof finetuned>>): string {
  const row = (name: string, a: number, b: number): string => `  ${name.padEnd(24)}${percent(a)}${percent(b)}`;
  const stacks = (["encoder", "decoder"] as const).flatMap((stack) => {
    const [before, after] = [peft.density[stack], deft.density[stack]];
    return before === null || after === null ? [] : [{ stack, before: before.exact, after: after.exact }];
  });
  const named = (stack: string): string => (stacks.length === 1 ? "" : ` ${stack}`);
  return [
    `  ${"".padEnd(24)}${"PEFT".padStart(9)}${"DEFT".padStart(9)}`,
    row("accuracy", peft.accuracy, deft.accuracy),
    ...peft.density.layers.map(({ stack, layer, exact }, i) => row(`density,${named(stack)} layer ${layer}`, exact, deft.density.layers[i]?.exact ?? Number.NaN)),
    ...stacks.map(({ stack, before, after }) => row(`density,${named(stack)} mean`, before, after)),
    ...stacks.map(({ stack, before, after }) => `  density change${named(stack)} ${(100 * (after / before - 1)).toFixed(1)} %`),
    "  density: share of MLP neurons that are not exactly 0, padding excluded",
  ].join("\n");
}

const { model, backend } = parseArgs({ options: { model: { type: "string", default: "bert" }, backend: { type: "string", default: "auto" } } }).values;
const demo = demoOf(model);
await writeTask(demo);
console.log(`LoRA on a small ${model === "t5" ? "T5" : "BERT"} with ReLU MLPs, without (PEFT) and with (DEFT) the density loss`);
const peft = await finetuned("peft", backend);
const deft = await finetuned("deft", backend);
console.log(`\n${table(peft, deft)}\n  back-end ${ops.backendName()}; runs in ${relative(process.cwd(), demo.folder)}`);
