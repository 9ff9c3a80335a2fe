import { DenseWeight, ops, type Model, type Site, type Weight } from "@deft-js/core";

/** A frozen float32 matrix with a row for each output, [dOut, dIn]: what single outputs are computed from without reading the others. */
export class RowWeight implements Weight {
  readonly shape: readonly [number, number];
  readonly format = "dense-rows";
  /** Wᵀ, [dOut, dIn]. */
  readonly variable: ops.Variable;

  constructor(variable: ops.Variable) {
    const [dOut = 0, dIn = 0] = variable.shape;
    this.shape = [dIn, dOut];
    this.variable = variable;
  }

  get bytes(): number {
    return this.variable.size * 4;
  }

  apply(x: ops.Tensor, bias?: ops.Tensor): ops.Tensor {
    return ops.linear(x, this.variable.value, { bias, transposed: true, frozen: true });
  }

  dense(): ops.Tensor {
    return ops.transpose(this.variable.value);
  }

  dispose(): void {
    this.variable.dispose();
  }
}

/** Holds a frozen dense matrix by rows, in its place and not beside it. @returns the undo, or undefined where the weight is another or is being trained */
export function holdByRows(model: Model, site: Site<"linear">): (() => void) | undefined {
  const { path, weight } = site;
  if (!(weight instanceof DenseWeight) || weight.variable.trainable) return undefined;
  const { path: name } = weight.variable;
  const rows = new RowWeight(turned(name, weight.variable));
  model.replaceWeight(path, rows);
  let holds = true;
  return () => {
    if (!holds) return;
    holds = false;
    if (site.weight !== rows) return; // another weight has taken the place since
    model.replaceWeight(path, new DenseWeight(turned(name, rows.variable)));
  };
}

function turned(name: string, { value }: ops.Variable): ops.Variable {
  return new ops.Variable(name, ops.scope(() => ops.transpose(value)), { trainable: false });
}
