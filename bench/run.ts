/**
 * All benchmarks, one after another, each in a process of its own: `npm run bench`. README.md has the flags.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ALLOWED_DROP, drops, type Ratios, ratiosOf } from "./harness/guard.ts";
import { type CheckedLine, toMarkdown } from "./harness/markdown.ts";
import { canPin } from "./harness/placement.ts";
import { writePlots } from "./harness/plots.ts";
import { describe, machine, type Report, type Section } from "./harness/report.ts";
import { printResult, printTable } from "./harness/table.ts";
import { targets } from "./targets.ts";

interface Entry {
  readonly name: string;
  /** Where it is measured, the first one alone if time is short; "free" if it is not pinned. */
  readonly placements: readonly string[];
}

const entries: readonly Entry[] = [
  { name: "calls", placements: ["split", "same"] },
  { name: "spin", placements: ["split", "same"] },
  { name: "stream", placements: ["split", "same"] },
  { name: "payload", placements: ["split"] },
  { name: "shared", placements: ["split"] },
  { name: "hops", placements: ["split"] },
  { name: "replicas", placements: ["free"] },
  { name: "interference", placements: ["split"] },
  { name: "broadcast", placements: ["split"] },
  { name: "memory", placements: ["free"] },
  { name: "cold-start", placements: ["free"] },
  { name: "queueing", placements: ["free"] },
  { name: "codec", placements: ["free"] },
  { name: "router", placements: ["free"] },
  { name: "peers", placements: ["split"] },
  { name: "ray", placements: ["free"] },
  { name: "http", placements: ["split"] },
  { name: "http-sse", placements: ["free"] },
  { name: "http-ray", placements: ["free"] },
];

/** A suite that takes longer than this hangs. */
const SUITE_MS = 300_000;
const baselineFile = new URL("./baseline.json", import.meta.url);

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    placement: { type: "string" },
    from: { type: "string" },
    check: { type: "boolean", default: false },
    guard: { type: "boolean", default: false },
    "save-baseline": { type: "boolean", default: false },
  },
});

const failed: string[] = [];
const report: Report =
  flags.from === undefined ? await measure() : (JSON.parse(readFileSync(flags.from, "utf8")) as Report);
if (flags.out !== undefined) {
  mkdirSync(flags.out, { recursive: true });
  writeFileSync(join(flags.out, "results.json"), `${JSON.stringify(report, rounded, 1)}\n`);
  writeFileSync(join(flags.out, "figures.md"), toMarkdown(report, checked()));
  const plots = await writePlots(report, flags.out);
  console.error(`Written to ${flags.out}: results.json, figures.md, ${plots.join(", ")}`);
}
if (flags.json) console.log(JSON.stringify(report));
if (flags.check) check();
if (flags["save-baseline"]) writeFileSync(baselineFile, `${JSON.stringify(ratiosOf(report), undefined, 2)}\n`);
if (flags.guard && !guard()) process.exitCode = 1;
if (failed.length > 0) {
  console.error(`These have failed: ${failed.join(", ")}.`);
  process.exitCode = 1;
}

async function measure(): Promise<Report> {
  const jobs = chosen();
  const about = { ...machine(), isQuick: flags.quick };
  if (!flags.json) console.log(`${describe(about)}\n`);
  const sections: Section[] = [];
  const startedMs = performance.now();
  for (const [i, { name, placement }] of jobs.entries()) {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    progress(`[${i + 1}/${jobs.length}] ${name}, ${placement} (${seconds} s so far)`);
    const output = await run(name, ["--json", "--placement", placement, ...(flags.quick ? ["--quick"] : [])]);
    progress("");
    if (output === undefined) {
      failed.push(`${name}, ${placement}`);
      continue;
    }
    const section = { name, ...(JSON.parse(output) as Omit<Section, "name">) };
    sections.push(section);
    if (flags.json) continue;
    console.log(`${name}, ${section.placement}\n`);
    printResult(section, section.placement);
  }
  return { ...about, sections };
}

/** What is to run, by the flags. */
function chosen(): { name: string; placement: string }[] {
  const wanted = flags.only?.split(",");
  const unknown = wanted?.filter((name) => !entries.some((entry) => entry.name === name)) ?? [];
  if (unknown.length > 0) {
    console.error(
      `There is no benchmark ${unknown.join(", ")}. There are: ${entries.map(({ name }) => name).join(", ")}.`,
    );
    process.exit(2);
  }
  const isPinned = canPin();
  return entries
    .filter(({ name }) => wanted === undefined || wanted.includes(name))
    .flatMap(({ name, placements }) => {
      if (placements[0] === "free" || !isPinned) return [{ name, placement: "free" }];
      const asked = flags.placement?.split(",") ?? (flags.quick ? placements.slice(0, 1) : placements);
      return asked.map((placement) => ({ name, placement }));
    });
}

/** @returns what it wrote, or undefined if it failed. */
async function run(name: string, args: readonly string[]): Promise<string | undefined> {
  const file = fileURLToPath(new URL(`./micro/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--conditions=heliostat-source", "--expose-gc", file, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: SUITE_MS,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return code === 0 ? output : undefined;
}

/** One line that is written over where that can be done. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
  else if (line !== "") process.stderr.write(`${line}\n`);
}

function checked(): CheckedLine[] {
  return targets.map(({ work, target, of, unit, passes }): CheckedLine => {
    const value = of(report);
    const isMissing = value === undefined || Number.isNaN(value);
    return isMissing
      ? [work, target, "", "not measured"]
      : [work, target, `${Number(value.toPrecision(3))}${unit}`, passes(value) ? "pass" : "short"];
  });
}

function check(): void {
  const results = checked();
  printTable(["target", "asked for", "value", "result"], results);
  const count = (result: string): number => results.filter((line) => line[3] === result).length;
  console.log(`${count("pass")} pass, ${count("short")} short, ${count("not measured")} not measured\n`);
}

/** @returns whether nothing has become worse. */
function guard(): boolean {
  if (!existsSync(baselineFile)) {
    console.error("There is no baseline yet: npm run bench -- --save-baseline writes one.");
    return false;
  }
  const baseline = JSON.parse(readFileSync(baselineFile, "utf8")) as Ratios;
  const now = ratiosOf(report);
  const compared = Object.keys(baseline).filter((what) => what in now).length;
  const worse = drops(baseline, now);
  for (const { what, before, now: value } of worse) console.error(`${what}: ${value} of ${before} before`);
  console.error(
    `${compared} of ${Object.keys(baseline).length} ratios compared, ${worse.length} worse by more than ${ALLOWED_DROP * 100} %.`,
  );
  return worse.length === 0 && compared > 0;
}

/** Digits that mean nothing would be most of the file. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}
