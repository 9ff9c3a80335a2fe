import type { Variable } from "@deft-js/tensor";
import type { Around, ForwardContext, Site, SiteKind, SiteSignatures, WrapOrder } from "../contracts/site.ts";

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
    return call(input);
  }

  isOwn(base: SiteFunction<K>): boolean {
    return base === this.#own;
  }

  wrap(around: Around<K>, order: WrapOrder = "normal"): () => void {
    const wrap: Wrap<K> = { around, rank: RANK[order] };
    this.#wraps = [...this.#wraps, wrap].sort((a, b) => a.rank - b.rank);
    return () => {
      this.#wraps = this.#wraps.filter((other) => other !== wrap);
    };
  }
}
