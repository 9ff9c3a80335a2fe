import { of, Subject } from "rxjs";
import { describe, expect, test } from "vitest";
import type { RunEvent } from "@deft-js/core";
import { progressReporter } from "../src/index.ts";
import { evaluation, recorded, step, type Recorded } from "./support.ts";

const command = (): void => undefined;

function show(events: readonly RunEvent[], at: Recorded): Recorded {
  progressReporter(at.terminal).connect({ events: of(...events), command });
  return at;
}

const line1 = "step 1/100  loss 0.7500  density 0.2500  6000 tokens/s  0:50 left";

describe("progress on a terminal", () => {
  test("draws one line again, at most ten times a second, and always the last", () => {
    const { out } = show([step({ step: 1, time: 0 }), step({ step: 2, time: 99 }), step({ step: 3, time: 100 }), step({ step: 100, time: 101 })], recorded({ isTTY: true }));
    expect(out.text.split("\r\u001b[2K")).toEqual(["", line1, "step 3/100  loss 0.7500  density 0.2500  6000 tokens/s  0:49 left", "step 100/100  loss 0.7500  density 0.2500  6000 tokens/s  0:00 left"]);
  });

  test("cuts the line to the width", () => {
    expect(show([step({ step: 1, time: 0 })], recorded({ isTTY: true, columns: 21 })).out.text).toBe("\r\u001b[2Kstep 1/100  loss 0.7");
  });

  test("clears the line before other lines and at the end", () => {
    const at = recorded({ isTTY: true });
    const events = new Subject<RunEvent>();
    const undo = progressReporter(at.terminal).connect({ events, command });
    events.next(step({ step: 1, time: 0 }));
    events.next({ type: "checkpoint.saved", time: 1, step: 1, path: "p", kind: "last" });
    events.next({ type: "checkpoint.saved", time: 1, step: 1, path: "p", kind: "best" });
    events.next(step({ step: 2, time: 500 }));
    undo();
    events.next(step({ step: 3, time: 1000 }));
    const clear = "\r\u001b[2K";
    expect(at.out.text).toBe(`${clear}${line1}${clear}best so far at step 1\n${clear}step 2/100  loss 0.7500  density 0.2500  6000 tokens/s  0:49 left${clear}`);
  });
});

describe("progress elsewhere", () => {
  test("is a plain line every ten seconds and at the end", () => {
    const { out } = show([step({ step: 1, time: 0 }), step({ step: 2, time: 9_999 }), step({ step: 3, time: 10_000 }), step({ step: 100, time: 10_001 })], recorded());
    expect(out.lines.map((line) => line.split("  ")[0])).toEqual(["step 1/100", "step 3/100", "step 100/100"]);
    expect(out.lines[0]).toBe(line1);
    expect(out.text).not.toContain("\u001b");
  });

  test("tells of the run, its stages and warnings", () => {
    const { out, err } = show(
      [
        { type: "run.started", time: 0, seed: 42, backend: "wasm", folder: "runs/a" },
        { type: "stage.started", time: 0, stage: "finetune", index: 0, of: 2 },
        { type: "training.started", time: 0, totalSteps: 100, epochs: 3, trainable: [], trainableParameters: 12_345, totalParameters: 11_200_000 },
        { type: "warning", time: 0, message: "careful\u0007" },
      ],
      recorded(),
    );
    expect(out.lines).toEqual(["run on wasm, seed 42, in runs/a", "stage 1 of 2: finetune", "training 12.3k of 11.2M parameters: 100 steps, 3 epochs"]);
    expect(err.text).toBe("warning: careful?\n");
  });

  test("shows an evaluation's metrics and its density by layer", () => {
    const { out } = show([evaluation], recorded());
    expect(out.lines[0]).toBe("evaluation on dev, step 10, 4 examples:  accuracy 0.7500  loss 0.5000");
    expect(out.lines).toContain("  encoder 1      30.00       15.00            40.00                   20.00");
  });

  test("speed is that of the last 20 steps", () => {
    const slow = Array.from({ length: 20 }, (_, i) => step({ step: i + 1, time: i }));
    const fast = Array.from({ length: 20 }, (_, i) => ({ ...step({ step: i + 21, time: 20_000 + i, totalSteps: 40 }), milliseconds: 250 }) as RunEvent);
    expect(show([...slow, ...fast], recorded()).out.lines.at(-1)).toContain("12.0k tokens/s  0:00 left");
  });
});
