import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: ["packages/*", "plugins/*", "tools"],
    coverage: { provider: "v8", include: ["packages/*/src/**", "plugins/*/src/**"] },
  },
});
