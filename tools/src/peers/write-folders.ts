/**
 * `npx tsx … tools/src/peers/write-folders.ts FOLDER [--only PATTERN]`: writes a small random model of every architecture and, for every method and layout, an adapter folder (or a merged
 * model) with values that are not zero, each beside `case.json`: the inputs and our logits. `tools/peers/check_folders.py FOLDER` loads them with the peers.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { batchTensors, ops, PEFT_METHOD, type Artifact, type Attachment, type HostBatch, type Kernel } from "@deft-js/core";
import { initModel, loadModel, saveAdapters, saveModel } from "@deft-js/run";
import { tokenizerJson } from "../demo/tokenizer.ts";
import { startKernel } from "../kernel.ts";
import { PEER_CASES, PEER_MODELS, type PeerCase, type PeerModel } from "./cases.ts";

const { positionals: [folder], values: args } = parseArgs({ allowPositionals: true, options: { only: { type: "string", default: "" } } });
if (folder === undefined) throw new Error("write-folders: needs a folder to write into, got none.");

async function writeBase(path: string, { config, head, tokenizer }: PeerModel, kernel: Kernel): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "deft-peers-"));
  try {
    const file = join(work, "tokenizer.json");
    await writeFile(file, JSON.stringify(tokenizerJson(tokenizer).json));
    const artifact = await initModel({ kernel, config, tokenizer: file, head, seed: 3, ...(head === "sequence-classification" ? { labels: 3 } : {}) });
    await saveModel(path, artifact);
    artifact.model.dispose();
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Random values everywhere, so that nothing is the identity: around 1 for factors, small for the rest. The head's as well: it must travel. */
function scramble({ model }: Artifact, attachment: Attachment): void {
  const rng = new ops.Rng(11);
  attachment.loadState(attachment.state().map(({ name, shape, values }) => ({ name, shape, values: rng.normals(values.length, 0.2).map((noise, i) => (values[i] as number) + noise) })));
  for (const variable of model.headParameters()) variable.load(rng.normals(variable.size, 0.3));
}

function logitsOf({ model }: Artifact, batch: HostBatch): { shape: readonly number[]; values: readonly number[] } {
  return ops.scope(() => {
    const { logits } = model.forward(batchTensors(batch));
    return { shape: logits.shape, values: [...ops.read(logits)] };
  });
}

async function writeCase(path: string, base: string, { model, of, kernel }: { model: PeerModel; of: PeerCase; kernel: Kernel }): Promise<void> {
  const loaded = await loadModel(base, { kernel, head: model.head });
  const attachment = kernel.create(PEFT_METHOD, of.id, of.options).attach(loaded.model, new ops.Rng(5), { tokenizer: loaded.tokenizer });
  const artifact: Artifact = { ...loaded, attachments: [attachment] };
  scramble(artifact, attachment);
  const { shape, values } = logitsOf(artifact, model.batch);
  await mkdir(path, { recursive: true });
  if (of.layout === "model") {
    attachment.merge?.();
    await saveModel(join(path, "folder"), { ...artifact, attachments: [] });
  } else await saveAdapters(join(path, "folder"), artifact, { layout: of.layout, name: "mytask" });
  const { inputIds, attentionMask, labels, seq, labelSeq } = model.batch;
  const rows = (flat: ArrayLike<number> | undefined, width: number | undefined): unknown => (flat === undefined ? null : width === undefined ? [...Array.from(flat)] : Array.from({ length: model.batch.size }, (_, i) => Array.from(flat).slice(i * width, (i + 1) * width)));
  await writeFile(join(path, "case.json"), JSON.stringify({ base: relative(path, base), layout: of.layout, method: of.id, head: model.head, input_ids: rows(inputIds, seq), attention_mask: rows(attentionMask, seq), labels: rows(labels, labelSeq), shape, logits: values }));
  loaded.model.dispose();
}

const { kernel } = await startKernel("auto");
for (const [name, model] of Object.entries(PEER_MODELS)) {
  const base = join(folder, name, "base");
  await writeBase(base, model, kernel);
  for (const [id, of] of Object.entries(PEER_CASES)) {
    if (of.notOn?.includes(name) === true || !new RegExp(args.only).test(`${name}/${id}`)) continue;
    await writeCase(join(folder, name, id), base, { model, of, kernel });
    console.log(`${name}/${id}`);
  }
}
