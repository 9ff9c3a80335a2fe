/** `npm run demo:pretrain`: makes the embedded checkpoint anew from its recipe. */
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { runRecipe } from "@deft-js/run";
import { EXAMPLE, FOLDER, writeCorpus } from "./data.ts";

await writeCorpus();
const output = join(FOLDER, "pretrain");
await rm(output, { recursive: true, force: true });
await runRecipe({
  file: join(EXAMPLE, "pretrain.yaml"),
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
await rm(join(EXAMPLE, "checkpoint"), { recursive: true, force: true });
await cp(join(output, "model"), join(EXAMPLE, "checkpoint"), { recursive: true });
console.log("written: examples/demo/checkpoint");
