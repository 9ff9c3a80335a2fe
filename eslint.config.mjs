import tseslint from "typescript-eslint";

/** Who may import whom: each layer lists the packages that it must not see. Imports go downwards only. */
const TFJS = { group: ["@tensorflow/*"], message: "Only packages/tensor and back-end plugins touch tfjs: use the ops of @deft-js/tensor." };
const PLUGINS = { group: ["@deft-js/plugin-*"], message: "A plugin is reached through the kernel, never imported." };
const above = (...names) => ({ group: names.map((name) => `@deft-js/${name}`), message: "Imports go downwards: cli → run → plugins → checkpoint, data → core → tensor." });
const OUTSIDE = { regex: "^\\.\\./(.*/)?src/|^@deft-js/[^/]+/", message: "Import packages by name, through their exports." };

const layer = (files, ...patterns) => ({ files, rules: { "no-restricted-imports": ["error", { patterns: [OUTSIDE, ...patterns] }] } });

export default tseslint.config(
  { ignores: ["**/dist/**", "**/build/**", "**/node_modules/**", "**/fixtures/**", "runs/**", "coverage/**"] },
  ...tseslint.configs.strict,
  ...tseslint.configs.stylistic,
  {
    files: ["**/*.ts", "**/*.mjs"],
    rules: {
      "max-lines": ["error", { max: 400 }],
      "max-lines-per-function": ["error", { max: 80 }],
      "max-params": ["error", { max: 6 }],
      eqeqeq: "error",
      "no-console": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true }],
      "no-restricted-syntax": [
        "error",
        { selector: "TSInterfaceDeclaration[id.name=/^I[A-Z][a-z]/]", message: "No I prefix." },
        { selector: ":matches(ClassDeclaration, TSInterfaceDeclaration)[id.name=/(Manager|Helper|Base|Utils)$/]", message: "Name it for what it is." },
      ],
    },
  },
  layer(["packages/tensor/src/**"], above("core", "checkpoint", "data", "run", "cli", "testkit"), PLUGINS),
  layer(["packages/core/src/**"], above("checkpoint", "data", "run", "cli", "testkit"), PLUGINS, TFJS),
  layer(["packages/checkpoint/src/**"], above("data", "run", "cli", "testkit"), PLUGINS, TFJS),
  layer(["packages/data/src/**"], above("checkpoint", "run", "cli", "testkit"), PLUGINS, TFJS),
  layer(["packages/testkit/src/**"], above("checkpoint", "data", "run", "cli"), PLUGINS, TFJS),
  layer(["plugins/*/src/**"], above("run", "cli", "testkit"), PLUGINS, TFJS),
  layer(["plugins/backend-*/src/**"], above("run", "cli", "testkit"), PLUGINS),
  layer(["packages/run/src/**"], above("cli", "testkit"), TFJS),
  layer(["packages/cli/src/**"], above("testkit"), PLUGINS, TFJS),
  { files: ["**/test/**", "**/bench/**", "tools/**", "packages/cli/src/**", "**/install.mjs"], rules: { "no-console": "off", "max-lines-per-function": "off" } },
  { files: ["**/test/**"], rules: { "@typescript-eslint/no-non-null-assertion": "off", "max-params": "off", "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }] } },
);
