/**
 * `npm run demo` and `npm test` on a fresh clone: installs what package-lock.json names, builds the native engine where that is
 * possible, then does the job. Plain Node, since nothing is installed when it starts.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".deft-installed");
const addon = join(root, "plugins/backend-native/addon/build/Release/deft_native.node");

/** Runs a command in the repository with its output shown; ends this process with its code when it fails. */
function run(command, args, { optional = false, env = {} } = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, NX_DAEMON: "false", ...env } });
  if (status === 0 || optional) return status === 0;
  if (error) console.error(`bootstrap: ${command} must start, got ${error.message}. Install it.`);
  process.exit(status ?? 1);
}

/** npm ci, unless the installed tree is that of this lock file and this Node. */
function install() {
  const wanted = createHash("sha256").update(readFileSync(join(root, "package-lock.json"))).update(process.version).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.log("» npm ci");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stamp, wanted);
}

/** The matrix library of the native engine: from Debian's packages when this process may install them; DEFT_NO_APT=1 forbids it. */
function matrixLibrary() {
  const mayInstall = process.platform === "linux" && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get") && process.env.DEFT_NO_APT !== "1";
  if (!mayInstall || existsSync("/usr/include/dnnl.h") || existsSync("/usr/include/x86_64-linux-gnu/dnnl.h")) return;
  console.log("» apt-get install libdnnl-dev (matrix products of the native engine; DEFT_NO_APT=1 skips this and runs on WebAssembly)");
  const quiet = { optional: true, env: { DEBIAN_FRONTEND: "noninteractive" } };
  if (run("apt-get", ["-qq", "update"], quiet)) run("apt-get", ["-qq", "-y", "install", "--no-install-recommends", "libdnnl-dev"], quiet);
}

/** The native engine, from the sources as they are now. */
function native() {
  if (!existsSync(addon)) {
    matrixLibrary();
    console.log("» building the native engine");
  }
  run("node", ["plugins/backend-native/install.mjs"], { optional: true });
}

const source = ["--conditions=@deft-js/source", "--import", "tsx"];
const jobs = {
  demo: () => run("node", [...source, "tools/src/demo/main.ts", ...process.argv.slice(3)]),
  test: () => {
    run("npx", ["eslint", ".", "--cache"]);
    run("npx", ["tsc", "-b"]);
    run("npx", ["tsc", "-p", "tsconfig.check.json"]);
    run("npx", ["vitest", "run", ...process.argv.slice(3)]);
  },
};

const job = jobs[process.argv[2]];
if (job === undefined) {
  console.error(`bootstrap: the job must be ${Object.keys(jobs).join(" or ")}, got ${process.argv[2]}.`);
  process.exit(2);
}
install();
native();
job();
