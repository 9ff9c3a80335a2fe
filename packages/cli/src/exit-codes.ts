/** What the command's exit codes mean: shown by `deft --help` and in the README. */
export const EXIT_CODES = {
  ok: 0,
  internal: 1,
  recipe: 2,
  data: 3,
  files: 4,
  training: 5,
  plugin: 6,
  backend: 7,
  interrupted: 130,
} as const;

/** One line for each exit code. */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT_CODES.ok, "done"],
  [EXIT_CODES.internal, "internal error"],
  [EXIT_CODES.recipe, "the command line or the recipe is wrong"],
  [EXIT_CODES.data, "the data or the task is wrong"],
  [EXIT_CODES.files, "a model's or an adapter's files are wrong, or files cannot be had or written"],
  [EXIT_CODES.training, "training or evaluation failed"],
  [EXIT_CODES.plugin, "a plugin is missing, unknown or does not fit"],
  [EXIT_CODES.backend, "no back-end, or it failed"],
  [EXIT_CODES.interrupted, "interrupted; a checkpoint is kept, `--resume` continues"],
];

/** Codes that go another way than their area. */
const BY_CODE: Readonly<Record<string, number>> = {
  "run.interrupted": EXIT_CODES.interrupted,
  "tensor.labels": EXIT_CODES.data,
  "tensor.ids": EXIT_CODES.data,
  "tensor.quantized": EXIT_CODES.files,
  "quantize.nonfinite": EXIT_CODES.files,
  "generation.nonfinite": EXIT_CODES.training,
  "tensor.backend": EXIT_CODES.backend,
  "tensor.gradient": EXIT_CODES.internal,
  "tensor.kernel": EXIT_CODES.internal,
};

/** By the part of an error's code before the first dot. */
const BY_AREA: Readonly<Record<string, number>> = {
  data: EXIT_CODES.data,
  task: EXIT_CODES.data,
  glue: EXIT_CODES.data,
  text: EXIT_CODES.data,
  metric: EXIT_CODES.data,
  checkpoint: EXIT_CODES.files,
  safetensors: EXIT_CODES.files,
  hub: EXIT_CODES.files,
  model: EXIT_CODES.files,
  tokenizer: EXIT_CODES.files,
  output: EXIT_CODES.files,
  training: EXIT_CODES.training,
  evaluation: EXIT_CODES.training,
  optimizer: EXIT_CODES.training,
  plugin: EXIT_CODES.plugin,
  native: EXIT_CODES.backend,
  backend: EXIT_CODES.backend,
};

/** By the part after the dot, for areas that plugins bring: `lora.state` is a matter of files. */
const BY_MATTER: Readonly<Record<string, number>> = {
  config: EXIT_CODES.files,
  state: EXIT_CODES.files,
};

/** An error that carries a stable code. */
export interface CodedError extends Error {
  readonly code: string;
}

/** Whether an error is a DeftError of any copy of the toolkit. */
export function isCodedError(error: unknown): error is CodedError {
  return error instanceof Error && error.name === "DeftError" && typeof (error as Partial<CodedError>).code === "string";
}

/** The exit code for what an action threw: a code that no table has, a stranger's plugin's too, is a matter of the command line or the recipe. */
export function exitCodeOf(error: unknown): number {
  if (!isCodedError(error)) return EXIT_CODES.internal;
  const [area = "", matter = ""] = error.code.split(".");
  return own(BY_CODE, error.code) ?? own(BY_AREA, area) ?? own(BY_MATTER, matter) ?? EXIT_CODES.recipe;
}

/** A mistake on the command line: exit code 2. Made here so that usage is checked without loading the toolkit. */
export function usageError(message: string): CodedError {
  return Object.assign(new Error(message), { name: "DeftError", code: "options.usage" });
}

/** What the command wrote is not there, wholly or in part: exit code 4. */
export function outputError(stream: string, cause: Error): CodedError {
  return Object.assign(new Error(`${stream}: must take what is written, got ${cause.message}. Make room, or send it elsewhere.`, { cause }), { name: "DeftError", code: "output.unwritable" });
}

function own(table: Readonly<Record<string, number>>, key: string): number | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
