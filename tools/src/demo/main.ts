/**
 * `npm run demo`: fine-tunes the embedded checkpoint on a generated task twice, LoRA alone and LoRA with the density loss, and shows
 * both side by side. Offline.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ops, type EvaluationCompleted, type Reporter } from "@deft-js/core";
import { runRecipe } from "@deft-js/run";
import { EXAMPLE, FOLDER, writeTask } from "./data.ts";

interface Shares {
  readonly exact: number;
}

interface Density {
  readonly layers: readonly (Shares & { readonly layer: number })[];
  readonly encoder: Shares;
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
  const output = join(FOLDER, name);
  await rm(output, { recursive: true, force: true });
  await runRecipe({ file: join(EXAMPLE, `${name}.yaml`), output, backend, reporters: [watch(name.toUpperCase(), (evaluation) => (last = evaluation))] });
  if (last === undefined) throw new Error(`demo: ${name} must be evaluated, got no evaluation.`);
  return { accuracy: last.metrics["accuracy"] as number, density: last.reports["density"] as unknown as Density };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(9);

function table(peft: Awaited<ReturnType<typeof finetuned>>, deft: Awaited<ReturnType<typeof finetuned>>): string {
  const row = (name: string, a: number, b: number): string => `  ${name.padEnd(24)}${percent(a)}${percent(b)}`;
  const change = deft.density.encoder.exact / peft.density.encoder.exact - 1;
  return [
    `  ${"".padEnd(24)}${"PEFT".padStart(9)}${"DEFT".padStart(9)}`,
    row("accuracy", peft.accuracy, deft.accuracy),
    ...peft.density.layers.map(({ layer, exact }, i) => row(`density, layer ${layer}`, exact, deft.density.layers[i]?.exact ?? Number.NaN)),
    row("density, mean", peft.density.encoder.exact, deft.density.encoder.exact),
    `  density change ${(100 * change).toFixed(1)} %; share of MLP neurons that are not exactly 0, padding excluded`,
  ].join("\n");
}

const { backend } = parseArgs({ options: { backend: { type: "string", default: "auto" } } }).values;
await writeTask();
console.log("LoRA on a small BERT with ReLU MLPs, without (PEFT) and with (DEFT) the density loss");
const peft = await finetuned("peft", backend);
const deft = await finetuned("deft", backend);
console.log(`\n${table(peft, deft)}\n  back-end ${ops.backendName()}; runs in runs/demo`);
