import { defineProject, type UserWorkspaceConfig } from "vitest/config";

/** One vitest project, resolved from TypeScript source: every package's `vitest.config.ts` calls this with its name. */
export function project(name: string): UserWorkspaceConfig {
  const conditions = ["@deft-js/source", "node", "import", "default"];
  return defineProject({
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: { name, include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
  });
}
