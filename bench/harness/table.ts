import type { Row } from "./contest.ts";
import { type Latency, quantiles } from "./latency.ts";
import type { SuiteResult, Value } from "./suite.ts";

/** Everything that a suite has found, as tables. */
export function printResult({ rows, latencies, values, notes }: SuiteResult, placement: string): void {
  printRows(rows ?? [], placement);
  printLatencies(latencies ?? [], placement);
  printValues(values ?? []);
  for (const { what, value, target } of notes ?? [])
    console.log(`${what}: ${value}${target === undefined ? "" : ` (asked for: ${target})`}`);
  if (notes !== undefined && notes.length > 0) console.log();
}

/** Lines of cells as a table, the first columns to the left, numbers to the right. Repeated first cells are left out. */
export function printTable(head: readonly string[], lines: readonly (readonly string[])[], leftColumns = 2): void {
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  const show = (line: readonly string[]): string =>
    line.map((cell, i) => (i < leftColumns ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  console.log(show(head));
  let last = "";
  for (const line of lines) {
    console.log(show(line[0] === last ? ["", ...line.slice(1)] : line));
    last = line[0]!;
  }
  console.log();
}

/** A rate with a unit that suits it. */
export function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  return perSecond >= 1e4 ? `${(perSecond / 1e3).toFixed(0)} k` : perSecond.toFixed(0);
}

/** Microseconds with as many digits as mean something. */
export function micros(value: number): string {
  return Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : 0) : "-";
}

/** Rows, each case's reference first. */
function printRows(rows: readonly Row[], placement: string): void {
  if (rows.length === 0) return;
  printTable(
    [`${placement}: what`, "contender", "best/s", "median/s", "ratio", "caller us", "peer us"],
    rows.map((row) => [
      row.what,
      row.contender,
      rate(row.best),
      rate(row.median),
      row.ratio.toFixed(row.ratio < 0.1 ? 4 : 2),
      micros(row.callerUs),
      micros(row.peerUs),
    ]),
  );
}

function printLatencies(latencies: readonly Latency[], placement: string): void {
  if (latencies.length === 0) return;
  const shown = [0.1, 0.5, 0.9, 0.99];
  printTable(
    [`${placement}: latency`, "contender", ...shown.map((share) => `p${share * 100} us`), "p50 through first"],
    latencies.map(({ what, contender, quantilesUs, ratio }) => [
      what,
      contender,
      ...shown.map((share) => micros(quantilesUs[quantiles.indexOf(share)]!)),
      ratio.toFixed(2),
    ]),
  );
}

function printValues(values: readonly Value[]): void {
  if (values.length === 0) return;
  printTable(
    ["what", "value", ""],
    values.map(({ what, value, unit }) => [what, showValue(value), unit]),
    1,
  );
}

function showValue(value: number): string {
  return Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString("en") : `${Number(value.toPrecision(3))}`;
}
