/**
 * `npm run bench -- [--suite training] [--json FILE] [--only PATTERN] [--iters 7] [--rounds 2] [--peer PATH] [--backend native] [--cuda]`: times training steps and
 * inference of the real model and method plugins beside PyTorch in one run, in turns; minima over all repetitions. A row is
 * `{name, ours_ms, peer_ms, ratio}`, ratio = ours / peer, smaller is better; with `--cuda` PyTorch computes on an NVIDIA GPU (for the back-ends that do); with `--profile`
 * no peer runs and each case prints the time of its kernels instead. `--suite quantization` times quantized linear layers, `--suite sparse` down-projections that skip
 * inactive neurons, always (`sparse-down`) and as the execution `sparse` chooses (`sparse-exec`); the peer of both is our own dense layer. `--suite linear` times dense linear
 * layers beside the matrix library's bare product, `--suite density` training steps with the density loss beside those without it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Kernel } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { CASES, type BenchCase } from "./cases.ts";
import { linearRows, type LinearRow } from "./linear.ts";
import { quantizationRows, type QuantizationRow } from "./quantization.ts";
import { sparseRows, type SparseRow } from "./sparse.ts";

interface Row {
  readonly name: string;
  readonly ours_ms: number;
  readonly peer_ms: number | null;
  readonly ratio: number | null;
  readonly ours_rss_mb: number;
  readonly peer_rss_mb: number | null;
}

interface Timing {
  readonly min_ms: number;
  readonly peak_rss_mb: number;
}

const { values: args } = parseArgs({
  options: {
    suite: { type: "string", default: "training" }, json: { type: "string" }, only: { type: "string" }, iters: { type: "string", default: "7" }, rounds: { type: "string", default: "2" }, backend: { type: "string", default: "native" },
    cuda: { type: "boolean", default: false }, profile: { type: "boolean", default: false },
    peer: { type: "string", default: join(import.meta.dirname, "../../../../shared/bench/torch_peer.py") },
  },
});

/** Our packages run as they are published: compiled, not through tsx, which wraps every function that is made in a call. */
function build(): void {
  const { status, stdout } = spawnSync("npm", ["run", "build"], { cwd: join(import.meta.dirname, "../../.."), encoding: "utf8" });
  if (status !== 0) throw new Error(`bench: the packages must compile, got ${stdout.slice(-400)}`);
}

const published = (script: string, work: object): string[] => ["--import", "tsx", join(import.meta.dirname, script), JSON.stringify({ ...work, backend: args.backend })];
const oursArguments = (one: BenchCase): string[] => published("one.ts", { ...one, iters: Number(args.iters), profile: args.profile });

/** glibc keeps what PyTorch frees for its next step, in huge pages where it can: given back and brought in again, page by page, memory took up to nearly half of a pass. */
const KEPT_MEMORY = ["mmap_threshold=4294967296", "trim_threshold=17179869184", "top_pad=268435456", "hugetlb=1"].map((setting) => `glibc.malloc.${setting}`).join(":");

/**
 * The peer's best, whatever the environment says: its memory kept, and, since Debian's OpenBLAS does not know every processor with AVX-512 and then takes its AVX2 kernels
 * (as it does where OPENBLAS_CORETYPE names an older one), told to take the wider ones.
 */
const peerEnvironment = (): NodeJS.ProcessEnv => {
  const wide = existsSync("/proc/cpuinfo") && readFileSync("/proc/cpuinfo", "utf8").includes("avx512f");
  return { ...process.env, GLIBC_TUNABLES: KEPT_MEMORY, ...(wide ? { OPENBLAS_CORETYPE: "SkylakeX" } : {}) };
};

/** Runs the peer on an NVIDIA GPU. */
const ON_CUDA = join(import.meta.dirname, "../../peers/torch_cuda.py");

interface Torch {
  readonly python: string;
  /** Where PyTorch lies. */
  readonly path: string;
}

/** A Python that has PyTorch; undefined when there is none, or no script of the peer's, and then the peer's columns stay empty. */
function findTorch(): Torch | undefined {
  if (!existsSync(args.peer)) return undefined;
  for (const python of ["python3", "/usr/bin/python3"]) {
    const { status, stdout } = spawnSync(python, ["-c", "import torch; print(torch.__file__)"], { encoding: "utf8" });
    if (status === 0) return { python, path: stdout };
  }
  return undefined;
}

/** Debian's PyTorch over another build of OpenBLAS than the OpenMP one takes up to three times as long: a peer that is not at its best, which must not pass unseen. */
function warnWhenSlow({ path }: Torch): void {
  if (!path.startsWith("/usr/lib/python3") || readdirSync("/usr/lib").some((folder) => existsSync(join("/usr/lib", folder, "openblas-openmp")))) return;
  console.error("bench: Debian's PyTorch must run over OpenBLAS's OpenMP build to be at its best, got another: these ratios are no comparison. Run `apt-get install libopenblas0-openmp`.");
}

function timed<T = Timing>(command: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): T {
  const { status, stdout, stderr } = spawnSync(command, argv, { encoding: "utf8", maxBuffer: 1 << 26, env });
  const line = stdout.split("\n").findLast((text) => text.startsWith("{"));
  if (status !== 0 || line === undefined) throw new Error(`bench: ${command} ${argv.join(" ")} must print a timing, got status ${status}: ${stderr.slice(-400)}`);
  return JSON.parse(line) as T;
}

const ours = (one: BenchCase): Timing => timed(process.execPath, oursArguments(one));

function peer(one: BenchCase, { python }: Torch): Timing {
  const [kind = "", size = ""] = one.size.split("-");
  const options = ["--size", size, "--method", one.method, "--mode", one.mode, "--batch", String(one.batch), "--seq", String(one.seq), "--iters", args.iters];
  return timed(python, [...(args.cuda ? [ON_CUDA] : []), args.peer, kind, ...options, ...(one.density ? ["--density"] : [])], peerEnvironment());
}

/** Ours and the peer's in turns, so that a slow minute hits both; minima of all rounds. */
function measure(one: BenchCase, torch: Torch | undefined): Row {
  const rounds = Array.from({ length: Number(args.rounds) }, () => ({ mine: ours(one), theirs: torch && peer(one, torch) }));
  const least = (pick: (round: (typeof rounds)[number]) => number | undefined): number | null => {
    const found = rounds.map(pick).filter((value) => value !== undefined);
    return found.length === 0 ? null : Math.min(...found);
  };
  const ours_ms = least((round) => round.mine.min_ms) as number;
  const peer_ms = least((round) => round.theirs?.min_ms);
  return {
    name: one.name, ours_ms, peer_ms, ratio: peer_ms === null ? null : Number((ours_ms / peer_ms).toFixed(4)),
    ours_rss_mb: least((round) => round.mine.peak_rss_mb) as number, peer_rss_mb: least((round) => round.theirs?.peak_rss_mb),
  };
}

/** The rows of a suite that runs in this process; each is shown as soon as it is there. */
async function collected<R extends object>(rowsOf: (kernel: Kernel, only: RegExp | undefined) => Iterable<R>, line: (row: R) => string): Promise<R[]> {
  const { kernel } = await startKernel(args.backend);
  const rows: R[] = [];
  for (const row of rowsOf(kernel, args.only === undefined ? undefined : new RegExp(args.only))) {
    rows.push(row);
    console.log(line(row));
  }
  return rows;
}

const quantizationSuite = (): Promise<QuantizationRow[]> =>
  collected((kernel, only) => quantizationRows(kernel, { only, iterations: Number(args.iters) }),
    (row) => `${row.name.padEnd(36)} quantized ${row.ours_ms.toFixed(3).padStart(9)} ms  dense ${row.peer_ms.toFixed(3).padStart(9)} ms  ratio ${row.ratio}`);

const skippingSuite = (): Promise<SparseRow[]> =>
  collected((_kernel, only) => sparseRows(only),
    (row) => `${row.name.padEnd(36)} skipping ${row.ours_ms.toFixed(4).padStart(9)} ms  dense ${row.peer_ms.toFixed(4).padStart(9)} ms  ${(1 / row.ratio).toFixed(2)}×`);

const linearSuite = (): Promise<LinearRow[]> =>
  collected((_kernel, only) => linearRows(only),
    (row) => `${row.name.padEnd(36)} layer ${row.ours_ms.toFixed(4).padStart(9)} ms  library ${row.peer_ms.toFixed(4).padStart(9)} ms  ${(100 / row.ratio).toFixed(0)} % of its speed`);

function trainingSuite(): Row[] {
  build();
  const wanted = CASES.filter(({ name }) => args.only === undefined || new RegExp(args.only).test(name));
  if (args.profile) {
    for (const one of wanted) spawnSync(process.execPath, oursArguments(one), { stdio: "inherit" });
    return [];
  }
  const torch = findTorch();
  if (torch !== undefined) warnWhenSlow(torch);
  return wanted.map((one) => shown(measure(one, torch)));
}

function shown(row: Row): Row {
  console.log(`${row.name.padEnd(36)} ours ${row.ours_ms.toFixed(1).padStart(9)} ms  peer ${(row.peer_ms?.toFixed(1) ?? "-").padStart(9)} ms  ratio ${row.ratio ?? "-"}  peak ${row.ours_rss_mb} / ${row.peer_rss_mb ?? "-"} MB`);
  return row;
}

/** With the density loss (ours) beside without it (peer); the large model takes fewer turns. */
function densitySuite(): (Pick<Row, "name" | "ours_ms" | "peer_ms" | "ratio"> & { readonly paired: number })[] {
  build();
  const sizes = [["bert-tiny", 32, 32, 300], ["bert-mini", 16, 128, 60], ["bert-base", 16, 128, 12]] as const;
  return sizes.filter(([size]) => args.only === undefined || new RegExp(args.only).test(`density-loss.${size}`)).map(([size, batch, seq, turns]) => {
    const { with_ms, without_ms, paired } = timed<{ with_ms: number; without_ms: number; paired: number }>(process.execPath, published("density.ts", { size, batch, seq, turns }));
    const row = { name: `density-loss.${size}.b${batch}`, ours_ms: with_ms, peer_ms: without_ms, ratio: Number((with_ms / without_ms).toFixed(4)), paired: Number(paired.toFixed(4)) };
    console.log(`${row.name.padEnd(36)} with ${with_ms.toFixed(2).padStart(9)} ms  without ${without_ms.toFixed(2).padStart(9)} ms  ratio ${row.ratio}  by paired steps ${row.paired}`);
    return row;
  });
}

const SUITES: Readonly<Record<string, () => readonly object[] | Promise<readonly object[]>>> = { training: trainingSuite, quantization: quantizationSuite, sparse: skippingSuite, linear: linearSuite, density: densitySuite };
const suite = SUITES[args.suite];
if (suite === undefined) throw new Error(`bench: --suite must be one of ${Object.keys(SUITES).join(", ")}, got ${args.suite}.`);
const rows = await suite();
if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(rows, null, 2)}\n`);
