/** The part of nx's tree that the generator uses. */
export interface Tree {
  exists(path: string): boolean;
  read(path: string, encoding: "utf8"): string;
  write(path: string, text: string): void;
}

/** Writes the plugin's files and enters it in the workspace. @returns what nx runs after writing */
export default function plugin(tree: Tree, options: { readonly name: string; readonly kind: string }): () => void;
