import type { Row } from "./contest.ts";
import type { SuiteResult } from "./suite.ts";

/** Rows as a table, each case's reference first. */
export function printRows(rows: readonly Row[], placement: string): void {
  if (rows.length === 0) return;
  const head = [`${placement}: what`, "contender", "best/s", "median/s", "ratio", "caller us", "peer us"];
  const lines = rows.map((row) => [
    row.what,
    row.contender,
    rate(row.best),
    rate(row.median),
    row.ratio.toFixed(2),
    micros(row.callerUs),
    micros(row.peerUs),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  const show = (line: readonly string[]): string =>
    line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  console.log(show(head));
  let last = "";
  for (const line of lines) {
    console.log(show(line[0] === last ? ["", ...line.slice(1)] : line));
    last = line[0]!;
  }
  console.log();
}

export function printNotes(notes: NonNullable<SuiteResult["notes"]>): void {
  for (const { what, value, target } of notes)
    console.log(`${what}: ${value}${target === undefined ? "" : ` (asked for: ${target})`}`);
  if (notes.length > 0) console.log();
}

function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  return perSecond >= 1e4 ? `${(perSecond / 1e3).toFixed(0)} k` : perSecond.toFixed(0);
}

function micros(value: number): string {
  return Number.isFinite(value) ? value.toFixed(value < 10 ? 2 : 0) : "-";
}
