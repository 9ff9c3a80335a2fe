/** `npx nx g @deft-js/tools:plugin NAME --kind peft-method|loss-term|reporter`: a plugin that works, with its contract's conformance tests. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const FILES = join(import.meta.dirname, "files");
const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** @param {import("nx/src/generators/tree.js").Tree} tree @param {{ name: string, kind: string }} options */
export default function plugin(tree, { name, kind }) {
  if (!NAME.test(name)) throw new Error(`plugin: the name must be lower case with hyphens, got ${name}. Use e.g. peft-scale.`);
  const folder = `plugins/${name}`;
  if (tree.exists(folder)) throw new Error(`plugin: ${folder} must be new, got one that is there. Choose another name.`);
  const camel = name.replace(/-([a-z0-9])/g, (_, letter) => letter.toUpperCase());
  const id = name.replace(/^(peft|report|loss)-/, "");
  const core = JSON.parse(tree.read("packages/core/package.json", "utf8")).version;
  const fill = (text) => text.replaceAll("__name__", name).replaceAll("__camel__", camel).replaceAll("__id__", id).replaceAll("__core__", core);
  for (const source of [join(FILES, "common"), join(FILES, kind)])
    for (const file of walk(source)) tree.write(`${folder}/${relative(source, file).replace(/\.template$/, "").replaceAll("__id__", id)}`, fill(readFileSync(file, "utf8")));
  change(tree, "tsconfig.json", (config) => {
    config.references.push({ path: folder });
    config.references.sort((a, b) => (a.path < b.path ? -1 : 1));
  });
  change(tree, "package.json", (manifest) => {
    manifest.dependencies[`@deft-js/plugin-${name}`] = core;
    manifest.dependencies = Object.fromEntries(Object.entries(manifest.dependencies).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return () => console.log(`${folder}: run \`npm install\`, then \`npx vitest run --project plugin-${name}\`.`);
}

function* walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* walk(path);
    else yield path;
  }
}

function change(tree, file, edit) {
  const json = JSON.parse(tree.read(file, "utf8"));
  edit(json);
  tree.write(file, `${JSON.stringify(json, null, 2)}\n`);
}
