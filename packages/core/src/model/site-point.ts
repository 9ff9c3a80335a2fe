import { DeftError, type Tensor, type Variable } from "@deft-js/tensor";
import type { Around, ForwardContext, Site, SiteKind, SiteSignatures, Unwrap, WrapOrder } from "../contracts/site.ts";

/** The function that stands at a site of a kind. */
export type SiteFunction<K extends SiteKind> = (input: SiteSignatures[K]["input"]) => SiteSignatures[K]["output"];

/** Where a site stands; see `Site` for the fields. */
export type SitePlace<K extends SiteKind> = Pick<Site<K>, "kind" | "path" | "stack" | "layer" | "role" | "dIn" | "dOut" | "bias" | "tokenRows">;

interface Wrap<K extends SiteKind> {
  readonly around: Around<K>;
  readonly rank: number;
}

const RANK: Readonly<Record<WrapOrder, number>> = { pre: 0, normal: 1, post: 2 };

/** A site as the model's author holds it: what stands at it is passed to `run`, wrappers go around it. */
export class SitePoint<K extends SiteKind> implements Site<K> {
  readonly kind: K;
  readonly path: string;
  readonly stack: "encoder" | "decoder";
  readonly layer: number | undefined;
  readonly role: Site["role"];
  readonly dIn: number;
  readonly dOut: number;
  readonly bias: Variable | undefined;
  readonly tokenRows: Site["tokenRows"];
  /** Innermost first. */
  #wraps: readonly Wrap<K>[] = [];
  /** The function of the call that is running, or ran last. */
  #own: SiteFunction<K> | undefined;

  constructor(place: SitePlace<K>) {
    this.kind = place.kind;
    this.path = place.path;
    this.stack = place.stack;
    this.layer = place.layer;
    this.role = place.role;
    this.dIn = place.dIn;
    this.dOut = place.dOut;
    this.bias = place.bias;
    this.tokenRows = place.tokenRows;
  }

  /** Whether anything stands around the function; where not, a model may take a fused path past the site. */
  get wrapped(): boolean {
    return this.#wraps.length > 0;
  }

  /** wₙ(… w₁(base)): the wrappers around the function, for one call. */
  run(input: SiteSignatures[K]["input"], context: ForwardContext, base: SiteFunction<K>): SiteSignatures[K]["output"] {
    let call = base;
    this.#own = base;
    for (const { around } of this.#wraps) {
      const inner = call;
      call = (x) => around(x, inner, context);
    }
    const output = call(input);
    if (call !== base) checkOutput(this, input, output);
    return output;
  }

  isOwn(base: SiteFunction<K>): boolean {
    return base === this.#own;
  }

  wrap(around: Around<K>, order: WrapOrder = "normal"): Unwrap {
    const wrap: Wrap<K> = { around, rank: RANK[order] };
    this.#wraps = [...this.#wraps, wrap].sort((a, b) => a.rank - b.rank);
    return unwrap(() => {
      this.#wraps = this.#wraps.filter((other) => other !== wrap);
    }, () => this.#wraps[0] === wrap);
  }
}

/** An undo that knows where its wrapper stands. */
export function unwrap(undo: () => void, innermost: () => boolean): Unwrap {
  return Object.defineProperty(undo, "innermost", { get: innermost }) as Unwrap;
}

/**
 * A wrapper's output must have the shape of the function's own: one that is smaller would be repeated where it is added.
 * @throws DeftError `site.output`
 */
function checkOutput<K extends SiteKind>({ kind, path, dOut }: SitePoint<K>, input: SiteSignatures[K]["input"], output: SiteSignatures[K]["output"]): void {
  if (kind === "embedding") return; // a prompt adds positions
  const got = output as Tensor | undefined;
  const expected = expectedShape(kind, input, dOut);
  const shape = got?.shape as readonly number[] | undefined;
  if (shape !== undefined && shape.length === expected.length && shape.every((n, i) => n === expected[i])) return;
  throw new DeftError("site.output", `site ${path}: a wrapper of ${kind} must give a tensor [${expected}], got ${shape === undefined ? String(got) : `[${shape}]`}. Return base(input) or a tensor of its shape.`);
}

function expectedShape(kind: SiteKind, input: unknown, dOut: number): readonly number[] {
  const from = kind === "attention" ? (input as SiteSignatures["attention"]["input"]).query : kind === "residual" ? (input as SiteSignatures["residual"]["input"]).hidden : (input as Tensor);
  return [...from.shape.slice(0, -1), dOut];
}
