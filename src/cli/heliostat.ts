#!/usr/bin/env node
/** Entry point of the command line. It says so itself if this Node is too old for the rest. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`heliostat needs Node 22.18 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const { main } = await import("./main.ts");
  await main(process.argv.slice(2));
}

export {};
