/** `npm run demo:pretrain [-- --model bert|t5]`: makes an embedded checkpoint anew from its recipe. */
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runRecipe } from "@deft-js/run";
import { demoOf, writeCorpus } from "./data.ts";

const demo = demoOf(parseArgs({ options: { model: { type: "string", default: "bert" } } }).values.model);
await writeCorpus(demo);
const output = join(demo.folder, "pretrain");
await rm(output, { recursive: true, force: true });
await runRecipe({
  file: join(demo.example, "pretrain.yaml"),
  output,
  reporters: [
    {
      id: "lines",
      connect: ({ events }) => {
        const subscription = events.subscribe((event) => {
          if (event.type === "step.completed" && event.step % 100 === 0) console.log(`${event.step}/${event.totalSteps} loss ${event.loss.toFixed(4)} ${event.milliseconds.toFixed(0)} ms`);
          if (event.type === "evaluation.completed") console.log(event.split, event.metrics);
        });
        return () => subscription.unsubscribe();
      },
    },
  ],
});
await rm(join(demo.example, "checkpoint"), { recursive: true, force: true });
await cp(join(output, "model"), join(demo.example, "checkpoint"), { recursive: true });
console.log(`written: ${join(demo.example, "checkpoint")}`);
