import { quantiles } from "./latency.ts";
import { describe, type Report } from "./report.ts";
import { micros, rate } from "./table.ts";

/** A line of the table that `--check` prints. */
export type CheckedLine = readonly [work: string, target: string, value: string, result: string];

/** Every figure of a report, and the targets, as a page. */
export function toMarkdown(report: Report, checked: readonly CheckedLine[]): string {
  const parts = [
    "# All figures of one run\n",
    `Written by \`npm run bench -- --out\`. ${describe(report)}. [README.md](README.md) says what they mean.\n`,
    "## Targets\n",
    table(["work", "asked for", "value", "result"], checked, 2),
  ];
  for (const { name, placement, rows = [], latencies = [], values = [], notes = [] } of report.sections) {
    parts.push(`## ${name}, ${placement}\n`);
    if (rows.length > 0)
      parts.push(
        table(
          ["what", "contender", "best/s", "median/s", "ratio", "caller us", "peer us"],
          rows.map((row) => [
            row.what,
            row.contender,
            rate(row.best),
            rate(row.median),
            row.ratio.toFixed(row.ratio < 0.1 ? 4 : 2),
            micros(row.callerUs),
            micros(row.peerUs),
          ]),
          2,
        ),
      );
    if (latencies.length > 0)
      parts.push(
        table(
          ["latency", "contender", "p10 us", "p50 us", "p90 us", "p99 us"],
          latencies.map(({ what, contender, quantilesUs }) => [
            what,
            contender,
            ...[0.1, 0.5, 0.9, 0.99].map((share) => micros(quantilesUs[quantiles.indexOf(share)]!)),
          ]),
          2,
        ),
      );
    if (values.length > 0)
      parts.push(
        table(
          ["what", "value", "unit"],
          values.map(({ what, value, unit }) => [what, `${Number(value.toPrecision(3))}`, unit]),
          1,
        ),
      );
    for (const { what, value } of notes) parts.push(`${what}: ${value}\n`);
  }
  return parts.join("\n");
}

function table(head: readonly string[], lines: readonly (readonly string[])[], leftColumns: number): string {
  const widths = head.map((title, i) => Math.max(3, title.length, ...lines.map((line) => line[i]!.length)));
  const show = (line: readonly string[]): string =>
    `| ${line.map((cell, i) => (i < leftColumns ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i < leftColumns ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return `${[show(head), `| ${rule.join(" | ")} |`, ...lines.map(show)].join("\n")}\n`;
}
