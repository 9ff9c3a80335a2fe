/** A column of a text table. */
export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** Lines of a table: columns two spaces apart, a rule under the titles; control characters are shown as `?`. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows].map((row) => columns.map((_, i) => printable(row[i] ?? "")));
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, i) => (columns[i]?.align === "right" ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  ").trimEnd();
  const [titles = [], ...body] = cells;
  return [line(titles), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(line)];
}

/** A text without control characters, which could move a terminal's cursor. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}
