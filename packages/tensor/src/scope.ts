import { tf, type Tensor } from "./tfjs.ts";

interface Hold {
  count: number;
  /** Its scope has ended: nobody but the holds keeps it alive. */
  orphan: boolean;
  readonly tensor: Tensor;
}

const holds = new Map<number, Hold>();

/**
 * Runs `body` and disposes every tensor that it made, except those in its result (which then belong to the enclosing scope)
 * and those on hold (which live until released).
 */
export function scope<T>(body: () => T): T {
  const engine = tf.engine();
  engine.startScope();
  let result: T | undefined;
  try {
    result = body();
    return result;
  } finally {
    spareHeld(result);
    engine.endScope(result as tf.TensorContainer as never);
  }
}

/** As `scope` for one op: disposes what `body` made but for these tensors of its result, within the scope that is active, since a scope of its own costs as much as a small kernel. */
export function opScope<T>(body: () => T, results: (made: T) => readonly Tensor[]): T {
  const active = tf.engine().state.activeScope as { readonly track: Tensor[] } | undefined;
  if (active === undefined || active === null) return outsideScopes(body, results);
  const before = active.track.length;
  const made = body();
  disposeAllBut(results(made), active.track, before);
  return made;
}

/** The id that the next tensor would have had: those made from now on have larger ones. */
export function nextId(): number {
  return (tf.engine() as unknown as { nextTensorId(): number }).nextTensorId();
}

function outsideScopes<T>(body: () => T, results: (made: T) => readonly Tensor[]): T {
  let made: T | undefined;
  scope(() => results((made = body())));
  return made as T;
}

function disposeAllBut(spared: readonly Tensor[], track: Tensor[], from: number): void {
  let kept = from;
  for (let i = from; i < track.length; i++) {
    const tensor = track[i] as Tensor;
    if (tensor.kept) continue; // no scope ends it
    if (spared.includes(tensor) || holds.has(tensor.id)) track[kept++] = tensor;
    else tensor.dispose();
  }
  track.length = kept;
}

/** tfjs disposes what is not `kept`: marks the held tensors of the ending scope, unless the result carries them outwards. */
function spareHeld(result: unknown): void {
  if (holds.size === 0) return;
  const track = tf.engine().state.activeScope.track as Tensor[];
  let returned: Set<number> | undefined;
  for (const tensor of track) {
    const held = holds.get(tensor.id);
    if (held === undefined || tensor.kept) continue;
    returned ??= new Set(tensorsIn(result).map((t) => t.id));
    if (returned.has(tensor.id)) continue;
    tensor.kept = true;
    held.orphan = true;
  }
}

/** All tensors in a value made of arrays, maps of strings and tensors. */
export function tensorsIn(value: unknown): Tensor[] {
  if (value === null || typeof value !== "object") return [];
  return tf.tensor_util.getTensorsInContainer(value as tf.TensorContainer);
}

/** Keeps a tensor alive past its scope until as many releases follow. */
export function hold(tensor: Tensor): void {
  const held = holds.get(tensor.id);
  if (held === undefined) holds.set(tensor.id, { count: 1, orphan: false, tensor });
  else held.count++;
}

/** Undoes one hold; the last one frees a tensor whose scope has ended. */
export function release(tensor: Tensor): void {
  const held = holds.get(tensor.id);
  if (held === undefined) return;
  if (--held.count > 0) return;
  holds.delete(tensor.id);
  if (held.orphan && !tensor.isDisposed) tensor.dispose();
}

/** What is alive on the engine: tensors, distinct buffers and their bytes; and how many tensors a tape holds. */
export function memory(): { tensors: number; buffers: number; bytes: number; held: number } {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { tensors: numTensors, buffers: numDataBuffers, bytes: numBytes, held: holds.size };
}
