import { enableCompileCache } from "node:module";

/** Entry point of a proxy's process, which is imported when the compile cache is there, as that of a replica is. */
enableCompileCache();
await import("./proxy-runtime.ts");
