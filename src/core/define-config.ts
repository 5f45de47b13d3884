import type { ServeConfig } from "./serve-types.ts";

/** A configuration file as a module, `export default defineConfig({…})`: checks its shape while it is written. */
export function defineConfig(config: ServeConfig): ServeConfig {
  return config;
}
