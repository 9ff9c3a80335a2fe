import type { Reporter, RunEvent, StepCompleted } from "@deft-js/core";
import { magnitude } from "../tables/numbers.ts";
import { printable } from "../tables/text-table.ts";
import type { Terminal } from "../terminal.ts";
import { evaluationLines } from "./evaluation-lines.ts";
import { stepLine } from "./step-line.ts";
import { trainableLines } from "./trainable-lines.ts";
import { Throughput } from "./throughput.ts";

/** Least time between two drawings of the line, and between two plain lines; milliseconds of event time. */
const REDRAW_EVERY = 100;
const PLAIN_EVERY = 10_000;

const CLEAR = "\r\u001b[2K";

/**
 * Shows a run as it goes: on a terminal one line that is drawn again, elsewhere a plain line every ten seconds; stages,
 * evaluations and warnings as lines of their own. Sends no commands.
 */
export function progressReporter(terminal: Terminal): Reporter {
  return {
    id: "progress",
    connect: ({ events }) => {
      const progress = new Progress(terminal);
      const subscription = events.subscribe((event) => progress.take(event));
      return () => {
        subscription.unsubscribe();
        progress.clear();
      };
    },
  };
}

class Progress {
  readonly #terminal: Terminal;
  #throughput = new Throughput();
  #shownAt = -Infinity;
  #isDrawn = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  take(event: RunEvent): void {
    if (event.type === "training.started") this.#throughput = new Throughput();
    if (event.type === "step.completed") this.#step(event);
    else if (event.type === "warning") this.#say([], `warning: ${event.message}`);
    else if (event.type === "run.failed") this.clear();
    else this.#say(linesOf(event));
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isDrawn) this.#terminal.write(CLEAR);
    this.#isDrawn = false;
  }

  #step(step: StepCompleted): void {
    this.#throughput.add(step);
    const { canRedraw, columns } = this.#terminal;
    const every = canRedraw ? REDRAW_EVERY : PLAIN_EVERY;
    if (step.step < step.totalSteps && step.time - this.#shownAt < every) return;
    this.#shownAt = step.time;
    const line = stepLine(step, this.#throughput);
    if (!canRedraw) return this.#terminal.line(line);
    this.#terminal.write(`${CLEAR}${line.slice(0, Math.max(1, columns - 1))}`);
    this.#isDrawn = true;
  }

  #say(lines: readonly string[], warning?: string): void {
    if (lines.length === 0 && warning === undefined) return;
    this.clear();
    for (const line of lines) this.#terminal.line(line);
    if (warning !== undefined) this.#terminal.note(printable(warning));
  }
}

function linesOf(event: RunEvent): readonly string[] {
  switch (event.type) {
    case "run.started":
      return [`run on ${event.backend}, seed ${event.seed}${event.folder === undefined ? "" : `, in ${event.folder}`}`];
    case "stage.started":
      return [`stage ${event.index + 1} of ${event.of}: ${printable(event.stage)}`];
    case "training.started":
      return [`training ${magnitude(event.trainableParameters)} of ${magnitude(event.totalParameters)} parameters: ${event.totalSteps} steps, ${event.epochs} epochs`, ...trainableLines(event)];
    case "evaluation.completed":
      return evaluationLines(event);
    case "checkpoint.saved":
      return event.kind === "best" ? [`best so far at step ${event.step}`] : [];
    default:
      return [];
  }
}
