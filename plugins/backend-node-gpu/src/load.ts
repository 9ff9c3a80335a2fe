import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import util from "node:util";
import { DeftError } from "@deft-js/core";
import { tf } from "@deft-js/tensor";

/** The packages that put TensorFlow's C library under tfjs: for NVIDIA GPUs, and for the CPU. */
export type TensorFlowPackage = "tfjs-node-gpu" | "tfjs-node";

/** Where to look for a package. */
export interface LoadOptions {
  readonly name: TensorFlowPackage;
  /** Folders whose `node_modules`, and those above, may hold it. */
  readonly folders: readonly string[];
}

const VERSION = "4.22.0";
/** The newest Node that the package's addon and install script are made for. */
const NEWEST_NODE = 20;

/** What each package needs beyond Node. */
const NEEDS: Readonly<Record<TensorFlowPackage, string>> = {
  "tfjs-node-gpu": "an NVIDIA driver, CUDA 11.2 and cuDNN 8.1; its install downloads libtensorflow 2.9.1 for GPU",
  "tfjs-node": "nothing more; its install downloads libtensorflow 2.9.1",
};

/**
 * Loads the package, which registers tfjs's back-end `tensorflow` and makes it the active one.
 * @throws DeftError `backend.missing` when it is not installed, `backend.load` when it throws, `backend.copies` when it brings its own tfjs-core
 */
export async function loadTensorFlow({ name, folders }: LoadOptions): Promise<void> {
  const path = folders.map((folder) => find(name, folder)).find((found) => found !== undefined);
  if (path === undefined) throw new DeftError("backend.missing", `node-gpu: needs the package @tensorflow/${name}, found none. Run \`npm install @tensorflow/${name}@${VERSION}\` (Node ${NEWEST_NODE} or older, this is ${process.version}; ${NEEDS[name]}).`);
  restoreUtil();
  const loaded = await load(name, path);
  const { Tensor, version_core: version } = (loaded["default"] ?? loaded) as { readonly Tensor?: unknown; readonly version_core?: string };
  if (Tensor !== tf.Tensor)
    throw new DeftError("backend.copies", `node-gpu: @tensorflow/${name} must use the toolkit's tfjs-core ${tf.version_core}, got a copy of its own (${version ?? "of no known version"}): they would be two engines. Run \`npm dedupe\`, or \`npm install @tensorflow/${name}@${VERSION}\`.`);
}

function find(name: TensorFlowPackage, folder: string): string | undefined {
  try {
    return createRequire(join(folder, "from.js")).resolve(`@tensorflow/${name}`);
  } catch {
    return undefined;
  }
}

async function load(name: TensorFlowPackage, path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (cause) {
    const reason = (cause as Error).message.trim().split("\n")[0] ?? "";
    const tooNew = Number(process.versions.node.split(".")[0]) > NEWEST_NODE;
    const remedy = tooNew ? `Use Node ${NEWEST_NODE}: this is ${process.version}` : `Run \`npm rebuild @tensorflow/${name} --build-addon-from-source\``;
    throw new DeftError("backend.load", `node-gpu: @tensorflow/${name} must load, got: ${reason} ${remedy}. It needs ${NEEDS[name]}.`, { cause });
  }
}

/** tfjs-node 4.22 calls two functions that Node 23 took out of `util`. */
function restoreUtil(): void {
  const old = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean; isArray?: (value: unknown) => boolean };
  old.isNullOrUndefined ??= (value) => value === null || value === undefined;
  old.isArray ??= Array.isArray;
}
