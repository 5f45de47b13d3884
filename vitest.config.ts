import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The repository's own tests import the package by its name, from its sources: nothing has to be built first. */
const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^heliostat$/, replacement: source("./src/index.ts") },
      { find: /^heliostat\/testing$/, replacement: source("./src/testing/index.ts") },
    ],
  },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "examples/**/*.test.ts"],
    // Processes that a test starts find the sources by the same name, as `npm run demo` does.
    execArgv: ["--conditions=heliostat-source"],
    // An instance that happens to run on this machine is none of theirs.
    env: { HELIOSTAT_STATE_DIR: source("./node_modules/.no-instance"), HELIOSTAT_ADDRESS: "" },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    typecheck: {
      enabled: true,
      include: ["test/types/**/*.test-d.ts"],
      tsconfig: "test/types/tsconfig.json",
      checker: "tsc",
    },
  },
});
