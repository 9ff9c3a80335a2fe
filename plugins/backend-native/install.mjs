// Builds the C++ addon when a compiler, a matrix library and Node's headers are found. Otherwise it says in one line what
// is missing and succeeds: the toolkit then runs on its other back-ends. It downloads nothing.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const addon = join(here, "addon");
const product = join(addon, "build", "Release", "deft_native.node");
const stamp = join(addon, "build", "stamp.json");
const REMEDY = "apt-get install -y g++ make python3 libdnnl-dev, then npm rebuild @deft-js/plugin-backend-native";

const runs = (command, ...args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Whether the compiler finds this header and links this library. */
function links(header, library) {
  const { status } = spawnSync(process.env.CXX ?? "g++", ["-x", "c++", "-fopenmp", "-o", "/dev/null", "-", `-l${library}`], {
    input: `#include <${header}>\nint main() { return 0; }\n`,
    stdio: ["pipe", "ignore", "ignore"],
  });
  return status === 0;
}

/** The matrix library to build with: DEFT_NATIVE_GEMM, else oneDNN (the faster one, and it packs), else OpenBLAS. */
function matrixLibrary() {
  const known = { onednn: ["oneapi/dnnl/dnnl.hpp", "dnnl"], openblas: ["cblas.h", "openblas"] };
  const wanted = process.env.DEFT_NATIVE_GEMM;
  return Object.keys(known).find((name) => (wanted === undefined || wanted === name) && links(...known[name]));
}

/** The folder that holds include/node/node_api.h. */
function nodeFolder() {
  const folders = [process.env.npm_config_nodedir, resolve(dirname(process.execPath), ".."), "/usr", "/usr/local"];
  return folders.find((folder) => folder && existsSync(join(folder, "include", "node", "node_api.h")));
}

/** node-gyp: the one that npm brings, or one on the way up from here. */
function nodeGyp() {
  const given = process.env.npm_config_node_gyp;
  if (given && existsSync(given)) return given;
  const npm = process.env.npm_execpath ?? join(dirname(process.execPath), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  for (const from of [import.meta.url, npm]) {
    try {
      return createRequire(from).resolve("node-gyp/bin/node-gyp.js");
    } catch {
      // not there: try the next place
    }
  }
  return undefined;
}

/** What the product depends on: the newest source, Node's version of the binary interface, the chosen library. */
function fingerprint(library) {
  const files = ["src", "isa"].flatMap((folder) => readdirSync(join(addon, folder)).map((file) => join(addon, folder, file)));
  const newest = Math.max(...[...files, join(addon, "binding.gyp")].map((file) => statSync(file).mtimeMs));
  return JSON.stringify({ newest, arch: process.arch, library, sanitize: process.env.DEFT_NATIVE_SANITIZE ?? "" });
}

/** Whether the product was made from these sources, with this library or, when none is named, with any. */
function upToDate() {
  if (!existsSync(product) || !existsSync(stamp)) return false;
  const made = readFileSync(stamp, "utf8");
  const { library } = JSON.parse(made);
  return made === fingerprint(library) && (process.env.DEFT_NATIVE_GEMM ?? library) === library;
}

function build() {
  if (upToDate()) return undefined;
  if (process.platform !== "linux") return "the native back-end builds on Linux only";
  if (!runs(process.env.CXX ?? "g++", "--version")) return "no C++ compiler";
  if (!runs("make", "--version")) return "no make";
  if (!runs("python3", "--version")) return "no python3 (node-gyp needs it)";
  const library = matrixLibrary();
  if (library === undefined) return "no matrix library (oneDNN or OpenBLAS) with its headers";
  const [folder, gyp] = [nodeFolder(), nodeGyp()];
  if (folder === undefined) return "no Node headers (include/node/node_api.h beside node; Debian: libnode-dev)";
  if (gyp === undefined) return "no node-gyp (npm brings it)";
  const sanitize = process.env.DEFT_NATIVE_SANITIZE ?? "";
  const args = [gyp, "rebuild", `--nodedir=${folder}`, "-j", "max", "--", `-Dgemm=${library}`, ...(sanitize === "" ? [] : [`-Dsanitize=${sanitize}`])];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: addon, encoding: "utf8" });
  if (status !== 0) {
    writeFileSync(join(here, "build.log"), `${stdout ?? ""}\n${stderr ?? ""}`);
    return "the build failed, see build.log beside install.mjs";
  }
  writeFileSync(stamp, fingerprint(library));
  console.log(`deft-js native back-end: built with ${library}.`);
  return undefined;
}

const problem = build();
if (problem !== undefined) console.log(`deft-js native back-end: not built (${problem}); other back-ends serve. To get it: ${REMEDY}.`);
