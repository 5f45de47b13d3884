import { enableCompileCache } from "node:module";

/**
 * Entry point of a replica's process. What runs there is imported when the compile cache is there, to come from it like
 * the user's code. It is Node's cache in Node's place: NODE_COMPILE_CACHE and NODE_DISABLE_COMPILE_CACHE do what they say.
 */
enableCompileCache();
await import("./process-replica.ts");
