import { DeftError, type Variable } from "@deft-js/tensor";
import type { Attachment, PeftMethod } from "../contracts/method.ts";
import type { Unwrap } from "../contracts/site.ts";
import { loadVariables, stateOf } from "./state.ts";

/** What an attachment is made of. */
export interface AttachmentParts {
  readonly method: PeftMethod;
  /** What it trains, made on attaching. */
  readonly variables: readonly Variable[];
  /** What takes each wrapper off the model. */
  readonly undo: readonly (() => void)[];
  /** Folds the change into the base weights; absent where that is not possible. */
  readonly fold?: (() => void) | undefined;
  readonly layouts?: Attachment["layouts"];
}

/** An attachment that owns its variables: detaching takes the wrappers off and disposes them, merging folds and detaches. A state that is not its own is an error `ID.state`, merging around something else `merge.order`. */
export function attachmentOf({ method, variables, undo, fold, layouts }: AttachmentParts): Attachment {
  const detach = (): void => {
    for (const take of undo) take();
    for (const variable of variables) variable.dispose();
  };
  const merge = (): void => {
    if (undo.some((take) => (take as Partial<Unwrap>).innermost === false))
      throw new DeftError("merge.order", `${method.id}: what is merged must stand next to the model's own layers, got something between. Merge or detach first what was attached before, and take an execution off.`);
    fold?.();
    detach();
  };
  return {
    method,
    variables,
    ...(fold === undefined ? {} : { merge }),
    ...(layouts === undefined ? {} : { layouts }),
    detach,
    state: () => stateOf(variables),
    loadState: (state) => loadVariables(variables, state, { who: method.id, code: `${method.id}.state` }),
  };
}
