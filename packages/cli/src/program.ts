import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { RunOptions } from "./actions/run.ts";
import type { PredictInputs } from "./actions/predict.ts";
import { EXIT_CODE_MEANINGS } from "./exit-codes.ts";
import { assignments, collected, positiveInteger, positiveIntegers } from "./option-values.ts";
import type { BenchRequest, ConvertRequest, DensityRequest, ExportRequest, PredictRequest, RunApi } from "./run-api.ts";
import type { Terminal } from "./terminal.ts";

/** What the program works with; `finish` takes the exit code of the action that ran. */
export interface ProgramContext {
  readonly terminal: Terminal;
  readonly api: () => Promise<RunApi>;
  finish(code: number): void;
}

/** The command line: what there is, and which action does it. Actions are loaded when they are called. */
export function program(context: ProgramContext): Command {
  const { terminal } = context;
  const deft = new Command("deft")
    .description("Density-efficient fine-tuning of transformers")
    .version((JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version)
    .option("--verbose", "show the stack of an error")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.note(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, "error [options.usage] ")),
    })
    .addHelpText("after", `\nExit codes:\n${EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(4)}${meaning}`).join("\n")}`);
  addRun(deft, context, "run", "run a recipe");
  addRun(deft, context, "pretrain", "run a recipe that pretrains a model");
  addDensity(deft, context);
  addPredict(deft, context);
  addBench(deft, context);
  addReport(deft, context);
  addFolders(deft, context);
  addInspection(deft, context);
  return deft;
}

function addRun(deft: Command, { terminal, api, finish }: ProgramContext, name: string, description: string): void {
  deft
    .command(`${name} <recipe>`)
    .description(description)
    .option("--set <key=value>", "override a value of the recipe; may be repeated", assignments)
    .addOption(backendOption())
    .option("--output <folder>", "the run's folder")
    .option("--resume", "continue from the last checkpoint in the folder")
    .option("--quiet", "print errors and one line with the result")
    .action(async (file: string, options: RunOptions) => {
      const { runAction } = await import("./actions/run.ts");
      finish(await runAction({ api: await api(), terminal, file, options }));
    });
}

function addDensity(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("density <checkpoint>")
    .description("measure a checkpoint's activation density by layer")
    .requiredOption("--data <file>", "text to measure on")
    .option("--column <name>", "the column that holds the text")
    .option("--adapter <folder>", "an adapter to put on the model")
    .addOption(backendOption())
    .option("--max-length <tokens>", "cut texts to this length", positiveInteger)
    .option("--batch-size <texts>", "texts in a forward pass", positiveInteger)
    .option("--limit <texts>", "measure on the first texts alone", positiveInteger)
    .addOption(promptOption())
    .option("--offline", "download nothing")
    .option("--json", "print the report as JSON")
    .action(async (checkpoint: string, { json, ...options }: Omit<DensityRequest, "checkpoint"> & { json?: boolean }) => {
      const { densityAction } = await import("./actions/density.ts");
      finish(await densityAction({ api: await api(), terminal, request: { ...options, checkpoint }, json }));
    });
}

function addPredict(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("predict <checkpoint>")
    .description("classify texts, or let a language model go on from them; one line of JSON for each")
    .option("--adapter <folder>", "an adapter to put on the model")
    .option("--text <text>", "a text; may be repeated", collected)
    .option("--pair <text>", "the second text of a pair, once for each --text", collected)
    .option("--data <file>", "a file of texts")
    .option("--column <name>", "the column that holds the text")
    .option("--execution <id>", "how the layers run, e.g. sparse; densely when left out")
    .addOption(backendOption())
    .option("--max-length <tokens>", "cut texts to this length", positiveInteger)
    .option("--batch-size <texts>", "texts in a forward pass", positiveInteger)
    .option("--max-new-tokens <tokens>", "most tokens that a language model generates", positiveInteger)
    .option("--beams <number>", "beams of a language model's search", positiveInteger)
    .addOption(promptOption())
    .option("--offline", "download nothing")
    .action(async (checkpoint: string, { text, pair, data, column, ...options }: PredictInputs & Pick<PredictRequest, "adapter" | "backend" | "offline" | "execution" | "maxLength" | "batchSize" | "maxNewTokens" | "beams" | "prompt">) => {
      const { predictAction, predictInputs } = await import("./actions/predict.ts");
      const inputs = predictInputs({ ...(text && { text }), ...(pair && { pair }), ...(data !== undefined && { data }), ...(column !== undefined && { column }) });
      finish(await predictAction({ api: await api(), terminal, request: { ...options, ...inputs, checkpoint } }));
    });
}

function addBench(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("bench <checkpoint>")
    .description("time a checkpoint densely, by each execution and in each weight format, side by side")
    .option("--adapter <folder>", "an adapter to put on the model")
    .option("--batch <rows>", "batch sizes, e.g. 1,8,32", positiveIntegers, [1, 8, 32])
    .option("--seq <tokens>", "tokens of a row", positiveInteger, 128)
    .option("--tokens <tokens>", "tokens that a language model generates", positiveInteger, 32)
    .option("--iters <times>", "repetitions, of which the shortest counts", positiveInteger, 7)
    .option("--task <task>", "measure quality on it, too, and take its texts for the clock: adapter (its own), glue:sst2:PATH, squad:FILE, or as in recipes: { glue: { name: sst2, path: PATH } }")
    .option("--limit <rows>", "rows of the task's evaluation split at most", positiveInteger)
    .option("--json <file>", "write the rows to a file too")
    .option("--profile", "time one forward pass of the first batch size by kernel as well")
    .addOption(backendOption())
    .option("--offline", "download nothing")
    .action(async (checkpoint: string, { batch, json, ...options }: Omit<BenchRequest, "checkpoint" | "batches"> & { batch: number[]; json?: string }) => {
      const { benchAction } = await import("./actions/bench.ts");
      finish(await benchAction({ api: await api(), terminal, request: { ...options, batches: batch, checkpoint }, file: json }));
    });
}

function addFolders(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("inspect <folder>")
    .description("say what an adapter's, a model's or a run's folder is")
    .option("--json", "print the report as JSON")
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { inspectAction } = await import("./actions/inspect.ts");
      finish(await inspectAction({ api: await api(), terminal, folder, json }));
    });
  deft
    .command("convert <input> <output>")
    .description("write an adapter folder in another library's layout")
    .addOption(layoutOption().makeOptionMandatory())
    .option("--model <checkpoint>", "the base model (default: the one that the folder names)")
    .option("--name <name>", "the adapter's name in AdapterHub's keys")
    .addOption(backendOption())
    .option("--offline", "download nothing")
    .action(async (input: string, output: string, options: Omit<ConvertRequest, "input" | "output">) => {
      const { convertAction } = await import("./actions/convert.ts");
      finish(await convertAction({ api: await api(), terminal, request: { ...options, input, output } }));
    });
  deft
    .command("export <checkpoint> <output>")
    .description("write a checkpoint's adapter in a layout, or with --merge the whole model")
    .option("--adapter <folder>", "an adapter to put on the model")
    .option("--merge", "fold the adapter into the weights and write a whole Hugging Face folder")
    .addOption(new Option("--base <form>", "with --merge: quantized or masked weights become float32, or keep their format").choices(["dense", "held"]))
    .addOption(layoutOption())
    .option("--name <name>", "the adapter's name in AdapterHub's keys")
    .addOption(backendOption())
    .option("--offline", "download nothing")
    .action(async (checkpoint: string, output: string, options: Omit<ExportRequest, "checkpoint" | "output">) => {
      const { exportAction, requireExportOptions } = await import("./actions/convert.ts");
      requireExportOptions(options);
      finish(await exportAction({ api: await api(), terminal, request: { ...options, checkpoint, output } }));
    });
}

function addReport(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("report <run...>")
    .description("write one HTML file about finished runs: one, or several side by side")
    .option("--out <file>", "the file (default: report.html in the folder of a single run, here for several)")
    .action(async (folders: string[], { out }: { out?: string }) => {
      const { reportAction } = await import("./actions/report.ts");
      finish(await reportAction({ api: await api(), terminal, request: { folders, ...(out !== undefined && { file: out }) } }));
    });
}

function layoutOption(): Option {
  return new Option("--layout <layout>", "the library whose layout it is").choices(["peft", "adapterhub", "deft"]);
}

function addInspection(deft: Command, { terminal, api, finish }: ProgramContext): void {
  deft
    .command("doctor")
    .description("show which back-ends start on this machine, and why the others do not")
    .option("--json", "print the report as JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const { doctorAction } = await import("./actions/doctor.ts");
      finish(await doctorAction({ api: await api(), terminal, json }));
    });
  deft
    .command("plugins [id]")
    .description("list what the installed plugins bring, or the options of one id")
    .option("--plugin <name>", "a further plugin: package or file; may be repeated", collected)
    .action(async (id: string | undefined, { plugin = [] }: { plugin?: string[] }) => {
      const { pluginsAction } = await import("./actions/plugins.ts");
      finish(await pluginsAction({ api: await api(), terminal, id, plugins: plugin }));
    });
  deft
    .command("schema")
    .description("print the JSON Schema of recipes, for editors")
    .option("--plugin <name>", "a further plugin: package or file; may be repeated", collected)
    .action(async ({ plugin = [] }: { plugin?: string[] }) => {
      const { schemaAction } = await import("./actions/schema.ts");
      finish(await schemaAction({ api: await api(), terminal, plugins: plugin }));
    });
}

function promptOption(): Option {
  return new Option("--prompt <how>", "how texts are put to a language model: as the adapter's task did, where it tells (default), or none: as they stand").choices(["task", "none"]);
}

function backendOption(): Option {
  return new Option("--backend <id>", "the back-end; `deft doctor` lists them (default: the best that starts)");
}
