import { defineConfig } from "rolldown";

/**
 * What the package consists of: entry points for users, one for each kind of process, and what they share
 * (docs/decisions/0008-the-package-is-bundled.md).
 */
export default defineConfig({
  input: {
    index: "src/index.ts",
    "testing/index": "src/testing/index.ts",
    // Engines start them by name, and look for them in the folder of their own file: so these names are unique.
    "process-replica-main": "src/engine/process/process-replica-main.ts",
    // The command line, and what loads the user's module for it.
    heliostat: "src/cli/heliostat.ts",
    "builder-main": "src/app/builder/builder-main.ts",
    "proxy-main": "src/app/proxies/proxy-main.ts",
    "instance-main": "src/instance/instance-main.ts",
    "thread-replica-main": "src/engine/thread/thread-replica-main.ts",
  },
  platform: "node",
  external: [/^node:/, "msgpackr", "ws", "yaml", "valibot", "commander", "prom-client"],
  output: {
    dir: "dist",
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    minifyInternalExports: false,
    // Users read the comments in the declarations.
    comments: { jsdoc: false, annotation: true, legal: true },
    codeSplitting: {
      groups: [
        {
          // All that a replica loads, its own part and what the user's module imports: one file, and one instance of each module.
          name: "runtime",
          test: /src\/(index|engine\/replica-runtime|transport\/(socket|message-port))\.ts$/,
          priority: 2,
        },
        // All that is loaded by the first `serve.run`.
        { name: "driver", test: /src\/app\/instances\.ts$/, priority: 1 },
      ],
    },
  },
});
