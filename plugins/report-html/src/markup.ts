/** Text that is HTML already. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: text and numbers are escaped, markup is not; what is absent leaves nothing. */
export type Piece = Markup | string | number | undefined | false | readonly Piece[];

/** A piece of HTML (or SVG) from a template; everything that is put in is escaped unless it came from a template itself. */
export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + textOf(pieces[i - 1]) + part));
}

/** Text as it may stand in an element or in a quoted attribute. Control characters, which HTML lacks, become U+FFFD. */
export function escaped(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, "\ufffd").replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function textOf(piece: Piece): string {
  if (piece === undefined || piece === false) return "";
  if (piece instanceof Markup) return piece.text;
  return typeof piece === "object" ? piece.map(textOf).join("") : escaped(String(piece));
}
