/**
 * One step of training or inference beside PyTorch on the same machine, in turns; minima.
 *
 *   node --conditions=@deft-js/source --import tsx bench/step.ts --size mini --mode train --density --iters 7 --peer ../../../shared/bench/torch_peer.py --profile
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { useBackend } from "@deft-js/tensor";
import { loadAddon } from "../src/addon.ts";
import { nativeStatus, registerNative } from "../src/index.ts";
import { buildStep, type Work } from "./bert.ts";

const { values: given } = parseArgs({
  options: {
    size: { type: "string", default: "mini" }, method: { type: "string", default: "lora" }, mode: { type: "string", default: "train" },
    density: { type: "boolean", default: false }, batch: { type: "string", default: "16" }, seq: { type: "string", default: "128" },
    iters: { type: "string", default: "7" }, peer: { type: "string" }, profile: { type: "boolean", default: false },
    precision: { type: "string", default: "f32" }, threads: { type: "string" },
  },
});

type Timed = Record<string, { ms: number; calls: number }>;

/** Replaces the addon's functions by timed ones. */
function profiled(): Timed {
  const addon = loadAddon() as unknown as Record<string, (...args: unknown[]) => unknown>;
  const times: Timed = {};
  for (const [name, run] of Object.entries(addon)) {
    const time = (times[name] = { ms: 0, calls: 0 });
    addon[name] = (...args) => {
      const start = performance.now();
      const result = run(...args);
      time.ms += performance.now() - start;
      time.calls++;
      return result;
    };
  }
  return times;
}

const work = { ...given, batch: Number(given.batch), seq: Number(given.seq) } as unknown as Work;
const times = given.profile ? profiled() : {};
registerNative({ precision: given.precision as "f32", ...(given.threads === undefined ? {} : { threads: Number(given.threads) }) });
await useBackend("native");
const step = buildStep(work);
for (let i = 0; i < 3; i++) step();
for (const time of Object.values(times)) Object.assign(time, { ms: 0, calls: 0 });
const taken: number[] = [];
const cpu: number[] = [];
for (let i = 0; i < Number(given.iters); i++) {
  const [start, used] = [performance.now(), process.cpuUsage()];
  step();
  taken.push(performance.now() - start);
  const { user, system } = process.cpuUsage(used);
  cpu.push((user + system) / 1000);
}
const name = `bert-${work.size}.${work.mode === "train" ? `${work.method}.${work.density ? "density." : ""}` : ""}${work.mode}.b${work.batch}`;
const ours = Math.min(...taken);
const row: Record<string, unknown> = { name, ours_ms: round(ours), cpu_ms: round(Math.min(...cpu)), rss_mb: Math.round(process.resourceUsage().maxRSS / 1024) };
if (given.peer !== undefined) {
  const args = [given.peer, "bert", "--size", work.size, "--method", work.method, "--mode", work.mode, ...(work.density ? ["--density"] : []), "--batch", given.batch, "--seq", given.seq, "--iters", given.iters];
  const peer = JSON.parse(spawnSync("/usr/bin/python3", args, { encoding: "utf8" }).stdout) as { min_ms: number; peak_rss_mb: number };
  Object.assign(row, { peer_ms: peer.min_ms, ratio: round(ours / peer.min_ms), peer_rss_mb: peer.peak_rss_mb });
}
console.log(JSON.stringify(row));
if (given.profile) {
  const total = taken.reduce((sum, t) => sum + t, 0);
  const inside = Object.values(times).reduce((sum, t) => sum + t.ms, 0);
  for (const [kernel, { ms, calls }] of Object.entries(times).filter(([, t]) => t.calls > 0).sort((a, b) => b[1].ms - a[1].ms))
    console.log(`${kernel.padEnd(24)} ${(ms / taken.length).toFixed(2).padStart(9)} ms  ${((100 * ms) / total).toFixed(1).padStart(5)} %  × ${calls / taken.length}`);
  console.log(`${"outside the addon".padEnd(24)} ${((total - inside) / taken.length).toFixed(2).padStart(9)} ms  ${((100 * (total - inside)) / total).toFixed(1).padStart(5)} %`);
  console.log(JSON.stringify(nativeStatus().pool));
}

function round(x: number): number {
  return Math.round(x * 1000) / 1000;
}
