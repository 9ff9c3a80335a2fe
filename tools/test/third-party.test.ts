import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** What a user of the toolkit installs; the native engine is left out, since its build would take the longest. */
const PACKED = ["packages/tensor", "packages/core", "packages/checkpoint", "packages/data", "packages/run", "packages/cli", "plugins/model-bert", "plugins/density-loss", "plugins/task-text", "plugins/backend-wasm"];

const project = mkdtempSync(join(tmpdir(), "deft-third-party-"));
afterAll(() => rmSync(project, { recursive: true, force: true }));

const run = (command: string, args: readonly string[], cwd: string): string => execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const RECIPE = (checkpoint: string): string => `
plugins: [acme-ia3]
model: ${checkpoint}
stages:
  - finetune:
      task: { text: { train: data.csv, evaluation: data.csv, text: text, label: label } }
      peft: { ia3: {} }
      losses: [{ density: { weight: 1 } }]
      epochs: 1
      batchSize: 4
output: out
`;

describe("a plugin from outside the repository", () => {
  it("runs from packed packages with one line of recipe", { timeout: 300_000 }, () => {
    run("npx", ["tsc", "-b"], ROOT);
    const tarballs = join(project, "packed");
    run("mkdir", ["-p", tarballs], project);
    run("npm", ["pack", "--silent", "--pack-destination", tarballs, ...PACKED.map((path) => join(ROOT, path))], ROOT);
    cpSync(join(import.meta.dirname, "third-party/ia3"), join(project, "ia3"), { recursive: true });
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "somebody", private: true, type: "module" }));
    const packed = readdirSync(tarballs).map((file) => `./packed/${file}`);
    expect(packed).toHaveLength(PACKED.length);
    run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "--install-links", ...packed, "./ia3"], project);
    writeFileSync(join(project, "data.csv"), ["text,label", ...Array.from({ length: 8 }, (_, i) => `the soup was ${i % 2 === 0 ? "good" : "bad"} .,${i % 2}`), ""].join("\n"));
    writeFileSync(join(project, "recipe.yaml"), RECIPE(join(ROOT, "examples/demo/checkpoint")));
    run("npx", ["deft", "run", "recipe.yaml", "--quiet"], project);
    const metrics = readFileSync(join(project, "out/metrics.json"), "utf8");
    expect(metrics).toContain("accuracy");
    expect(readFileSync(join(project, "out/recipe.resolved.yaml"), "utf8")).toContain("ia3");
    expect(readdirSync(join(project, "out"))).toContain("adapter");
  });
});
