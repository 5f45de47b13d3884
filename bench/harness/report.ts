import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import type { Row } from "./contest.ts";
import type { Latency } from "./latency.ts";
import type { SuiteResult, Value } from "./suite.ts";

/** One suite in one placement. */
export interface Section extends SuiteResult {
  readonly name: string;
  readonly placement: string;
}

/** Everything that one run has found, and where. */
export interface Report {
  readonly heliostat: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly date: string;
  /** Of the minute before the run: what else there was to do. */
  readonly load: number;
  readonly isQuick: boolean;
  readonly sections: readonly Section[];
}

/** What is known before anything has run. */
export function machine(): Omit<Report, "sections" | "isQuick"> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return {
    heliostat: `${version}${commit()}`,
    node: process.version,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[0]!,
  };
}

/** One line that belongs to every figure. */
export function describe({ heliostat, node, cpu, cores, system, date, load }: Omit<Report, "sections">): string {
  return `heliostat ${heliostat}, Node ${node}, ${cores} x ${cpu}, ${system}, ${date}, load ${load.toFixed(1)}`;
}

export function findRow(
  report: Report,
  path: { suite: string; placement: string; what: string; contender: string },
): Row | undefined {
  const rows = section(report, path.suite, path.placement)?.rows;
  return rows?.find((row) => row.what === path.what && row.contender === path.contender);
}

export function findLatency(
  report: Report,
  path: { suite: string; placement: string; what: string; contender: string },
): Latency | undefined {
  const found = section(report, path.suite, path.placement)?.latencies;
  return found?.find((latency) => latency.what === path.what && latency.contender === path.contender);
}

export function findValue(
  report: Report,
  path: { suite: string; placement: string; what: string | RegExp },
): Value | undefined {
  const { what: wanted } = path;
  const found = section(report, path.suite, path.placement)?.values;
  return found?.find(({ what }) => (typeof wanted === "string" ? what === wanted : wanted.test(what)));
}

function section(report: Report, name: string, placement: string): Section | undefined {
  // Where processes cannot be pinned, everything is free.
  return (
    report.sections.find((one) => one.name === name && one.placement === placement) ??
    report.sections.find((one) => one.name === name && one.placement === "free" && placement === "split")
  );
}

function commit(): string {
  try {
    return ` (${execFileSync("git", ["rev-parse", "--short", "HEAD"], { stdio: ["ignore", "pipe", "ignore"] })
      .toString()
      .trim()})`;
  } catch {
    return "";
  }
}
