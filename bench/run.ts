/**
 * All benchmarks, one after another, each in a process of its own: `npm run bench`.
 *
 * `--only name[,name]` some of them; `--quick` shorter samples, smaller numbers, one placement; `--placement split,same`;
 * `--json` the results as one line of JSON.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { canPin } from "./harness/placement.ts";
import type { SuiteResult } from "./harness/suite.ts";
import { printNotes, printRows } from "./harness/table.ts";

interface Entry {
  readonly name: string;
  /** Placement matters: run once for each. */
  readonly placed: boolean;
  /** Prints its own tables and takes no flags of ours. */
  readonly prints?: readonly string[];
}

const entries: readonly Entry[] = [
  { name: "calls", placed: true },
  { name: "stream", placed: true },
  { name: "payload", placed: true },
  { name: "broadcast", placed: true },
  { name: "memory", placed: false },
  { name: "cold-start", placed: false },
  { name: "codec", placed: false, prints: [] },
  { name: "router", placed: false, prints: [] },
];

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean" },
    json: { type: "boolean" },
    placement: { type: "string" },
  },
});
const wanted = values.only?.split(",");
const unknown = wanted?.filter((name) => !entries.some((entry) => entry.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(
    `There is no benchmark ${unknown.join(", ")}. There are: ${entries.map(({ name }) => name).join(", ")}.`,
  );
  process.exit(2);
}
const placements = !canPin()
  ? ["free"]
  : (values.placement ?? (values.quick === true ? "split" : "split,same")).split(",");

const results: unknown[] = [];
if (values.json !== true)
  console.log(
    `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, load ${loadavg()[0]!.toFixed(1)}\n`,
  );
for (const { name, placed, prints } of entries) {
  if (wanted !== undefined && !wanted.includes(name)) continue;
  if (prints !== undefined) {
    if (values.json === true) continue;
    console.log(`${name}\n`);
    await run(name, prints, true);
    console.log();
    continue;
  }
  for (const placement of placed ? placements : ["free"]) {
    const output = await run(
      name,
      ["--json", "--placement", placement, ...(values.quick === true ? ["--quick"] : [])],
      false,
    );
    const result = JSON.parse(output) as SuiteResult & { placement: string };
    results.push({ name, ...result });
    if (values.json === true) continue;
    console.log(`${name}, ${result.placement}\n`);
    printRows(result.rows, result.placement);
    printNotes(result.notes ?? []);
  }
}
if (values.json === true)
  console.log(JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, load: loadavg()[0], results }));

/** @returns what it wrote, unless it is shown at once. */
async function run(name: string, args: readonly string[], shown: boolean): Promise<string> {
  const file = fileURLToPath(new URL(`./micro/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--conditions=heliostat-source", "--expose-gc", file, ...args], {
    stdio: ["ignore", shown ? "inherit" : "pipe", "inherit"],
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) {
    console.error(`The benchmark ${name} ended with code ${code}.`);
    process.exit(1);
  }
  return output;
}
