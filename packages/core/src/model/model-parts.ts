import { DeftError, read, scope, type Variable } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";
import type { Site, SiteKind } from "../contracts/site.ts";
import type { Weight } from "../contracts/weight.ts";
import { DenseWeight } from "./dense-weight.ts";
import { LinearSite, type LinearPlace } from "./linear-site.ts";
import type { LoadedParameters, ParameterSpec } from "./load-parameters.ts";
import { SitePoint, type SitePlace } from "./site-point.ts";
import { transposeMatrix } from "./transpose-matrix.ts";

/** The parameters and sites of one model, by name: a model's author takes parameters from it and puts sites into it. */
export class ModelParts {
  readonly #specs: readonly ParameterSpec[];
  readonly #variables: Map<string, Variable>;
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #sites: Site[] = [];
  readonly #linears = new Map<string, LinearSite>();

  constructor(specs: readonly ParameterSpec[], loaded: LoadedParameters) {
    this.#specs = specs;
    this.#variables = loaded.variables;
    this.#weights = loaded.weights;
  }

  /** The parameter with this name. Throws `model.parameter` when the specs have none, `weight.format` when it is not held dense. */
  parameter(name: string): Variable {
    const variable = this.#variables.get(name);
    const other = this.#weights.get(name.replace(/\.weight$/, ""));
    if (variable === undefined && other !== undefined)
      throw new DeftError("weight.format", `model: ${name} must be dense, since it is no layer of its own to the methods, got ${other.format}. Keep it dense (\`keep\`).`);
    if (variable === undefined) throw new DeftError("model.parameter", `model: ${name} must be a parameter, got no such name. Add it to the specs.`);
    return variable;
  }

  /** Adds a site. */
  site<K extends SiteKind>(place: SitePlace<K>): SitePoint<K> {
    const site = new SitePoint(place);
    this.#sites.push(site as unknown as Site);
    return site;
  }

  /** Adds a linear site over the parameters PATH.weight (in whatever format it was loaded) and, where there is one, PATH.bias. */
  linear(place: LinearPlace): LinearSite {
    const weight = this.#weights.get(place.path) ?? new DenseWeight(this.parameter(`${place.path}.weight`));
    const site = new LinearSite(place, weight, this.#variables.get(`${place.path}.bias`));
    this.#sites.push(site as unknown as Site);
    this.#linears.set(place.path, site);
    return site;
  }

  /** See `Model.sites`: in the order in which the model's author added them. */
  sites<K extends SiteKind>(kind: K, pattern?: RegExp): readonly Site<K>[] {
    const chosen = this.#sites.filter((site) => site.kind === kind && (pattern === undefined || site.path.search(pattern) >= 0));
    return chosen as unknown as readonly Site<K>[];
  }

  /** See `Model.parameters`: without those whose weight was replaced by another format. */
  parameters(): ReadonlyMap<string, Variable> {
    return this.#variables;
  }

  /** See `Model.exportParameters`: a weight in another format stands as the dense matrix that it means. Values are made when they are read. */
  *exportParameters(): Iterable<NamedArray> {
    const values = (spec: ParameterSpec): Float32Array => this.#fileValues(spec);
    for (const spec of this.#specs)
      yield {
        name: spec.name,
        shape: spec.shape,
        get values() {
          return values(spec);
        },
      };
  }

  #fileValues({ name, shape, matrix }: ParameterSpec): Float32Array {
    const linear = this.#linears.get(name.replace(/\.weight$/, ""));
    const held = linear !== undefined && name.endsWith(".weight") ? scope(() => read(linear.weight.dense())) : this.parameter(name).data();
    return matrix === true ? transposeMatrix(held, shape[1] ?? 0, shape[0] ?? 0) : held;
  }

  /**
   * See `Model.replaceWeight`.
   * @throws DeftError `model.site` when no linear site has the path, `weight.shape` when the shape is another
   */
  replaceWeight(path: string, weight: Weight, { keep = false }: { readonly keep?: boolean } = {}): void {
    const site = this.#linears.get(path);
    if (site === undefined) throw new DeftError("model.site", `model: ${path} must be the path of a linear site, got no such site. Known: ${[...this.#linears.keys()].slice(0, 6).join(", ")}, ….`);
    if (weight.shape[0] !== site.dIn || weight.shape[1] !== site.dOut)
      throw new DeftError("weight.shape", `model: the weight of ${path} must have shape [${site.dIn},${site.dOut}], got [${weight.shape}]. Pass a matrix [dIn, dOut].`);
    if (weight === site.weight) return;
    if (!keep) site.weight.dispose();
    site.weight = weight;
    if (weight instanceof DenseWeight) this.#variables.set(`${path}.weight`, weight.variable);
    else this.#variables.delete(`${path}.weight`);
  }

  /** Disposes every parameter and weight. */
  dispose(): void {
    for (const site of this.#linears.values()) site.weight.dispose();
    for (const variable of this.#variables.values()) variable.dispose();
  }
}
