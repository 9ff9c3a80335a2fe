import { DeftError, hostArray, Variable, type Rng } from "@deft-js/tensor";
import type { BuildOptions, TensorSource } from "../contracts/model.ts";
import type { Weight } from "../contracts/weight.ts";
import { AbsentWeight } from "./absent-weight.ts";
import { transposeMatrix } from "./transpose-matrix.ts";

/** How a parameter starts when no source has it. */
export type Initial = "zeros" | "ones" | { readonly normal: number; /** A row that starts as zeros (`padding_idx`). */ readonly zeroRow?: number | undefined };

/** One parameter of a model. */
export interface ParameterSpec {
  /** Its Hugging Face name. */
  readonly name: string;
  /** Its shape in the file: [dOut, dIn] for the matrix of a linear layer. */
  readonly shape: readonly number[];
  /** Whether it is the matrix of a linear layer, NAME = PATH.weight: held transposed, [dIn, dOut], or in another format. */
  readonly matrix?: boolean;
  readonly initial: Initial;
  /** The part it belongs to; a part of `optionalParts` that the source lacks wholly is initialised. `base` when left out. */
  readonly part?: string;
  /** Further names under which a file may hold it. */
  readonly aliases?: readonly string[];
}

/** What `loadParameters` is told. */
export interface LoadOptions extends Pick<BuildOptions, "weightFormat" | "absent"> {
  /** Who speaks in errors: the family's name. */
  readonly who: string;
  readonly specs: readonly ParameterSpec[];
  /** Everything is initialised when left out. */
  readonly source?: TensorSource | undefined;
  readonly rng: Rng;
  /** The names that a file may use for a Hugging Face name, best first: without the prefix, older spellings. */
  names(name: string): readonly string[];
  /** Names in the source that are passed over without an error. */
  readonly ignored: readonly RegExp[];
  readonly optionalParts: readonly string[];
}

/** A model's parameters. */
export interface LoadedParameters {
  /** By Hugging Face name, in the order of the specs; matrices [dIn, dOut]. All frozen when they come from a source. */
  readonly variables: Map<string, Variable>;
  /** Matrices that are held in another format than dense, by the linear site's path. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** The parts that the source lacked, and which therefore are initialised. */
  readonly initialised: ReadonlySet<string>;
}

/**
 * Reads a model's parameters, or initialises them. Names and shapes are all checked before the first value is read.
 * @throws DeftError `checkpoint.missing`, `checkpoint.unexpected`, `checkpoint.shape`
 */
export async function loadParameters(options: LoadOptions): Promise<LoadedParameters> {
  const { source, specs } = options;
  const found = source === undefined ? new Map<string, string>() : matchNames(options, source);
  const initialised = new Set(specs.filter((spec) => !found.has(spec.name)).map(partOf));
  const variables = new Map<string, Variable>();
  const weights = new Map<string, Weight>();
  const room = new Room();
  try {
    for (const spec of specs) {
      const weight = await otherWeight(options, spec, found.get(spec.name), room);
      if (weight === undefined) variables.set(spec.name, Variable.from(spec.name, await heldValues(options, spec, found.get(spec.name), room), heldShape(spec), { trainable: source === undefined }));
      else weights.set(sitePath(spec), weight);
    }
  } catch (error) {
    for (const made of [...variables.values(), ...weights.values()]) made.dispose();
    throw error;
  }
  return { variables, weights, initialised };
}

const sitePath = ({ name }: ParameterSpec): string => name.replace(/\.weight$/, "");

/** The weight of a linear layer that is absent or held in another format; undefined for what is held dense: a head that the source lacks, and will be trained, too. */
async function otherWeight(options: LoadOptions, spec: ParameterSpec, fileName: string | undefined, room: Room): Promise<Weight | undefined> {
  if (spec.matrix !== true || (options.source !== undefined && fileName === undefined)) return undefined;
  const [dOut = 0, dIn = 0] = spec.shape;
  const path = sitePath(spec);
  if (options.absent?.(path) === true) return new AbsentWeight(path, [dIn, dOut]);
  const format = options.weightFormat?.(path);
  if (format !== undefined) return format.encode(path, await fileValues(options, spec, fileName, room), { dOut, dIn });
  return fileName === undefined ? undefined : options.source?.weight?.(fileName);
}

/** Values in held layout: matrices [dIn, dOut]. */
async function heldValues(options: LoadOptions, spec: ParameterSpec, fileName: string | undefined, room: Room): Promise<Float32Array> {
  if (options.source === undefined || fileName === undefined) return initialValues(spec, options.rng);
  const values = await fileValues(options, spec, fileName, room);
  const held = hostArray(values.length);
  if (spec.matrix === true) return transposeMatrix(values, spec.shape[0] ?? 0, spec.shape[1] ?? 0, held);
  held.set(values);
  return held;
}

/** Memory that one tensor after another is read into; as large as the largest so far. */
class Room {
  #values: Float32Array = new Float32Array();

  for(size: number): Float32Array {
    if (this.#values.length < size) this.#values = hostArray(size);
    return this.#values;
  }
}

/** Values in file layout, read or initialised; the caller must not keep them. */
async function fileValues({ who, source, rng }: LoadOptions, spec: ParameterSpec, fileName: string | undefined, room: Room): Promise<Float32Array> {
  if (source === undefined || fileName === undefined) {
    const values = initialValues(spec, rng);
    return spec.matrix === true ? transposeMatrix(values, spec.shape[1] ?? 0, spec.shape[0] ?? 0) : values;
  }
  const size = spec.shape.reduce((n, d) => n * d, 1);
  const values = await source.read(fileName, room.for(size));
  if (values.length !== size) throw new DeftError("checkpoint.shape", `${who}: ${fileName} must hold ${size} values, got ${values.length}. The file may be damaged.`);
  return values;
}

const partOf = (spec: ParameterSpec): string => spec.part ?? "base";

const heldShape = (spec: ParameterSpec): readonly number[] => (spec.matrix === true ? [...spec.shape].reverse() : spec.shape);

/** Which name in the file each parameter has; absent for those to be initialised. */
function matchNames({ who, specs, names, ignored, optionalParts }: LoadOptions, source: TensorSource): Map<string, string> {
  const there = new Set(source.names());
  const found = new Map<string, string>();
  for (const spec of specs) {
    const fileName = [spec.name, ...(spec.aliases ?? [])].flatMap((name) => [...names(name)]).find((name) => there.has(name));
    if (fileName !== undefined) found.set(spec.name, fileName);
  }
  const present = new Set(specs.filter((spec) => found.has(spec.name)).map(partOf));
  const missing = specs.filter((spec) => !found.has(spec.name) && (present.has(partOf(spec)) || !optionalParts.includes(partOf(spec))));
  if (missing.length > 0)
    throw new DeftError("checkpoint.missing", `${who}: every parameter must be in the checkpoint, got none for ${listed(missing.map((spec) => spec.name))}. Check that config.json belongs to these weights.`);
  const used = new Set(found.values());
  const aliases = new Set(specs.flatMap((spec) => (spec.aliases ?? []).flatMap((name) => [...names(name)])));
  const unexpected = [...there].filter((name) => !used.has(name) && !aliases.has(name) && !ignored.some((pattern) => pattern.test(name)));
  if (unexpected.length > 0)
    throw new DeftError("checkpoint.unexpected", `${who}: every tensor in the checkpoint must belong to the model, got ${listed(unexpected)} besides. Check model_type and the head that is asked for.`);
  for (const spec of specs) checkShape(who, spec, source, found.get(spec.name));
  return found;
}

function checkShape(who: string, spec: ParameterSpec, source: TensorSource, fileName: string | undefined): void {
  if (fileName === undefined) return;
  const shape = source.shape(fileName);
  if (shape.length !== spec.shape.length || shape.some((n, i) => n !== spec.shape[i]))
    throw new DeftError("checkpoint.shape", `${who}: ${fileName} must have shape [${spec.shape}], got [${shape}]. Check that config.json (sizes, number of labels) belongs to these weights.`);
}

/** Values in held layout, from a stream of the parameter's own, so that they do not depend on what else is initialised. */
function initialValues({ name, shape, initial }: ParameterSpec, rng: Rng): Float32Array {
  const size = shape.reduce((n, d) => n * d, 1);
  const values = hostArray(size);
  if (initial === "zeros") return values.fill(0);
  if (initial === "ones") return values.fill(1);
  rng.fork(name).normals(size, initial.normal, values);
  const width = size / (shape[0] ?? 1);
  if (initial.zeroRow !== undefined) values.fill(0, initial.zeroRow * width, (initial.zeroRow + 1) * width);
  return values;
}

/** The first names of a list and how many more there are. */
function listed(names: readonly string[]): string {
  const first = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${first} and ${names.length - 5} more` : first;
}
