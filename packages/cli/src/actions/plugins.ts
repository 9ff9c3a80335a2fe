import type { Contribution, ExtensionPoint, Kernel } from "@deft-js/core";
import { EXIT_CODES, usageError } from "../exit-codes.ts";
import type { RunApi } from "../run-api.ts";
import { printable, textTable } from "../tables/text-table.ts";
import type { Terminal } from "../terminal.ts";

interface Listed {
  readonly point: string;
  readonly contribution: Contribution<unknown> & { readonly plugin: string };
}

/** Lists what the plugins bring, or the options of the contributions with one id; @returns the exit code. Throws `options.usage`. */
export async function pluginsAction({ api, terminal, id, plugins }: { readonly api: RunApi; readonly terminal: Terminal; readonly id?: string | undefined; readonly plugins: readonly string[] }): Promise<number> {
  const kernel = await api.createKernel({ plugins, from: process.cwd() });
  const listed = await contributionsOf(kernel, api);
  const lines = id === undefined ? listLines(listed, kernel) : await optionLines(listed, id);
  for (const line of lines) terminal.line(line);
  return EXIT_CODES.ok;
}

/** Every contribution to the extension points that core and run export. */
async function contributionsOf(kernel: Kernel, api: RunApi): Promise<Listed[]> {
  const points = Object.values<unknown>({ ...(await import("@deft-js/core")), ...api }).filter(isExtensionPoint);
  return points.flatMap((point) => kernel.contributions(point).map((contribution) => ({ point: point.name, contribution })));
}

function isExtensionPoint(value: unknown): value is ExtensionPoint<unknown> {
  const point = value as Partial<ExtensionPoint<unknown>> | null;
  return typeof point === "object" && point !== null && typeof point.name === "string" && typeof point.token === "symbol";
}

function listLines(listed: readonly Listed[], kernel: Kernel): string[] {
  const versions = new Map(kernel.plugins.map(({ name, version }) => [name, version]));
  const rows = listed.map(({ point, contribution: { id, summary, plugin } }) => [point, id, summary, `${plugin} ${versions.get(plugin) ?? ""}`]);
  return [...textTable([{ title: "extension point" }, { title: "id" }, { title: "summary" }, { title: "plugin" }], rows), "", "`deft plugins ID` lists the options."];
}

async function optionLines(listed: readonly Listed[], id: string): Promise<string[]> {
  const found = listed.filter(({ contribution }) => contribution.id === id);
  if (found.length === 0) throw usageError(`plugins: ${JSON.stringify(id)} is not known. Known: ${[...new Set(listed.map(({ contribution }) => contribution.id))].join(", ") || "none"}.`);
  const { z } = await import("zod");
  return found.flatMap(({ point, contribution: { summary, plugin, options } }) => {
    const schema = options === undefined ? {} : z.toJSONSchema(options, { io: "input", unrepresentable: "any" });
    return [printable(`${point} ${id} (${plugin}): ${summary}`), ...tableOf(schema), ""];
  });
}

function tableOf({ properties = {}, required = [] }: { readonly properties?: Readonly<Record<string, unknown>> | undefined; readonly required?: readonly string[] | undefined }): string[] {
  const rows = Object.entries(properties).map(([name, property]) => {
    const { description = "", default: initial, ...rest } = property as { description?: string; default?: unknown };
    return [name, typeOf(rest), initial === undefined ? (required.includes(name) ? "required" : "") : JSON.stringify(initial), description];
  });
  return rows.length === 0 ? ["no options"] : textTable([{ title: "option" }, { title: "type" }, { title: "default" }, { title: "meaning" }], rows);
}

/** A property's type in a few words: `number`, `"a" | "b"`, `number | string`, `array`. */
function typeOf(property: { readonly type?: unknown; readonly enum?: readonly unknown[]; readonly const?: unknown; readonly anyOf?: readonly object[]; readonly oneOf?: readonly object[] }): string {
  if (property.enum !== undefined) return property.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (property.const !== undefined) return JSON.stringify(property.const);
  const choices = property.anyOf ?? property.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(typeOf))].join(" | ");
  return [property.type ?? "any"].flat().map(String).join(" | ");
}
