import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const CORE = pathToFileURL(join(import.meta.dirname, "../../../core/src/index.ts")).href;

/** A package whose `exports` are for `import` alone. */
export function writePackage(folder: string, name: string, manifest: object, source: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, version: "1.0.0", type: "module", exports: { ".": { import: "./index.js" } }, ...manifest }));
  writeFileSync(join(folder, "index.js"), source);
}

/** A plugin that brings a PEFT method of its own name: it adds a vector to the MLPs' outputs. */
export function pluginSource(name: string): string {
  return `import { definePlugin, ops, PEFT_METHOD } from ${JSON.stringify(CORE)};
const method = { id: ${JSON.stringify(name)}, options: {}, attach: (model) => {
  const places = model.sites("mlp").map((site) => {
    const shift = ops.Variable.from(site.path + ".shift", new Float32Array(site.dOut), [site.dOut]);
    return { shift, undo: site.wrap((x, base) => ops.add(base(x), shift.value)) };
  });
  const variables = places.map(({ shift }) => shift);
  return {
    method, variables,
    state: () => variables.map((v) => ({ name: v.path, shape: v.shape, values: v.data() })),
    loadState: (state) => { const held = new Map([...state].map((a) => [a.name, a.values])); for (const v of variables) v.load(held.get(v.path)); },
    detach: () => { for (const { shift, undo } of places) { undo(); shift.dispose(); } },
  };
} };
export default definePlugin({ name: ${JSON.stringify(name)}, version: "1.0.0", core: "^0.1", register: (registry) => registry.add(PEFT_METHOD, { id: ${JSON.stringify(name)}, summary: "shifts the MLPs' outputs", create: () => method }) });
`;
}
