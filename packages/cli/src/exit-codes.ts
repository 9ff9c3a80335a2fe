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
  [EXIT_CODES.files, "a model's or an adapter's files are wrong or cannot be had"],
  [EXIT_CODES.training, "training or evaluation failed"],
  [EXIT_CODES.plugin, "a plugin is missing, unknown or does not fit"],
  [EXIT_CODES.backend, "no back-end, or it failed"],
  [EXIT_CODES.interrupted, "interrupted; a checkpoint is kept, `--resume` continues"],
];

/** By the part of an error's code before the first dot. */
const BY_AREA: Readonly<Record<string, number>> = {
  options: EXIT_CODES.recipe,
  recipe: EXIT_CODES.recipe,
  evaluate: EXIT_CODES.recipe,
  execution: EXIT_CODES.recipe,
  report: EXIT_CODES.recipe,
  pretrain: EXIT_CODES.recipe,
  export: EXIT_CODES.recipe,
  "early-stopping": EXIT_CODES.recipe,
  data: EXIT_CODES.data,
  task: EXIT_CODES.data,
  glue: EXIT_CODES.data,
  text: EXIT_CODES.data,
  checkpoint: EXIT_CODES.files,
  safetensors: EXIT_CODES.files,
  hub: EXIT_CODES.files,
  model: EXIT_CODES.files,
  tokenizer: EXIT_CODES.files,
  training: EXIT_CODES.training,
  evaluation: EXIT_CODES.training,
  optimizer: EXIT_CODES.training,
  plugin: EXIT_CODES.plugin,
  native: EXIT_CODES.backend,
  backend: EXIT_CODES.backend,
};

/** By the part after the dot, for areas that plugins bring: `lora.target` is a matter of the recipe, `lora.state` one of files. */
const BY_MATTER: Readonly<Record<string, number>> = {
  target: EXIT_CODES.recipe,
  options: EXIT_CODES.recipe,
  layers: EXIT_CODES.recipe,
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

/** The exit code for what an action threw. */
export function exitCodeOf(error: unknown): number {
  if (!isCodedError(error)) return EXIT_CODES.internal;
  if (error.code === "tensor.backend") return EXIT_CODES.backend;
  const [area = "", matter = ""] = error.code.split(".");
  return own(BY_AREA, area) ?? own(BY_MATTER, matter) ?? EXIT_CODES.internal;
}

/** A mistake on the command line: exit code 2. Made here so that usage is checked without loading the toolkit. */
export function usageError(message: string): CodedError {
  return Object.assign(new Error(message), { name: "DeftError", code: "options.usage" });
}

function own(table: Readonly<Record<string, number>>, key: string): number | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
