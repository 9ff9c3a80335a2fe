import { exitWhenFlushed } from "../src/exit.ts";
import { processTerminal, runCommandLine, type RunApi } from "../src/index.ts";

/** Runs `deft predict` on a model that never ends: only a stream that takes no more can stop it. */
async function* predictTexts(): AsyncIterable<{ text: string; label: string; probabilities: Record<string, number> }> {
  for (let i = 0; ; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    yield { text: `text ${i}`, label: "a", probabilities: { a: 1 } };
  }
}

const api = { predictTexts } as unknown as RunApi;
const terminal = processTerminal();
exitWhenFlushed(await runCommandLine({ argv: ["predict", "model", "--text", "one"], terminal, api: () => Promise.resolve(api) }), terminal);
