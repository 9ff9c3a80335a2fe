/** The version of the contracts: what a plugin's `core` range is checked against. */
export const CORE_VERSION = "0.1.0";
