import { scrolling, section } from "../figure.ts";
import { html, type Markup } from "../markup.ts";
import type { RunRecord } from "../record/record.ts";

/** Where the run comes from: its recipe, the versions, and what it warned of. */
export function origin({ recipe, versions, warnings }: RunRecord): Markup | undefined {
  const known = Object.entries(versions);
  return section(
    "Recipe and versions",
    warnings.length > 0 && html`<details open><summary>${warnings.length} ${warnings.length === 1 ? "warning" : "warnings"}</summary><ul>${warnings.map((warning) => html`<li>${warning}</li>`)}</ul></details>`,
    recipe !== undefined && html`<details><summary>Recipe, as it ran</summary><pre tabindex="0">${recipe.text}</pre></details>`,
    known.length > 0 && html`<details><summary>Versions of Node, core and the loaded plugins</summary>${scrolling("Versions", { columns: [{ title: "package" }, { title: "version" }], rows: known })}</details>`,
  );
}
