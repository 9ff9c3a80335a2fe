import { areExactly, type Model } from "@deft-js/core";

/** AdapterHub's names for the layers that its LoRA can stand at, as patterns of what follows a dot. */
export const ROLES: Readonly<Record<string, string>> = {
  q: String.raw`self\.query|(?:SelfAttention|EncDecAttention)\.q`,
  k: String.raw`self\.key|(?:SelfAttention|EncDecAttention)\.k`,
  v: String.raw`self\.value|(?:SelfAttention|EncDecAttention)\.v`,
  intermediate: String.raw`intermediate\.dense|DenseReluDense\.wi(?:_1)?`,
  output: String.raw`(?<!attention\.)output\.dense|DenseReluDense\.wo`,
};

/** The target pattern of some roles. */
export function rolePattern(roles: readonly string[]): string {
  return String.raw`\.(?:${roles.map((role) => ROLES[role]).join("|")})$`;
}

/** The roles whose layers are exactly the chosen ones; undefined when no set of roles says it. */
export function rolesOf(model: Model, chosen: readonly string[]): ReadonlySet<string> | undefined {
  const roles = Object.keys(ROLES).filter((role) => chosen.some((path) => new RegExp(rolePattern([role])).test(path)));
  if (roles.length === 0) return undefined;
  const pattern = new RegExp(rolePattern(roles));
  return areExactly(model, chosen, (path) => pattern.test(path)) ? new Set(roles) : undefined;
}
