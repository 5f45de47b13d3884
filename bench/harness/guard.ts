import { type Report } from "./report.ts";

/** Ratios of a run that hold on other machines too, each so that more is better. */
export type Ratios = Readonly<Record<string, number>>;

/** How much of a ratio may be lost. */
export const ALLOWED_DROP = 0.25;

/** A ratio that was better. */
export interface Drop {
  readonly what: string;
  readonly before: number;
  readonly now: number;
}

/** Suites in which the first contender is what is measured, and the others are what it is compared with. */
const comparisons = new Set(["peers", "ray", "http", "http-sse", "http-ray"]);

/** Everything in a report that is a ratio within its run. */
export function ratiosOf({ sections }: Report): Ratios {
  const ratios: Record<string, number> = {};
  for (const { name, placement, rows = [], latencies = [], values = [] } of sections) {
    const inverse = comparisons.has(name);
    const set = (what: string, ratio: number): void => {
      if (Number.isFinite(ratio) && ratio > 0) ratios[`${name}, ${placement}: ${what}`] = Number(ratio.toPrecision(4));
    };
    for (const [i, { what, contender, ratio }] of rows.entries()) {
      const isReference = rows.findIndex((row) => row.what === what) === i;
      if (!isReference && contender !== "load generator alone")
        set(`${what}, ${contender}`, inverse ? 1 / ratio : ratio);
    }
    for (const [i, { what, contender, ratio }] of latencies.entries()) {
      const isReference = latencies.findIndex((latency) => latency.what === what) === i;
      if (!isReference) set(`p50, ${what}, ${contender}`, inverse ? ratio : 1 / ratio);
    }
    for (const { what, value, better, isRatio } of values)
      if (isRatio === true) set(what, better === "higher" ? value : 1 / value);
  }
  return ratios;
}

/** What is worse than it was by more than is allowed. What was not measured is not compared. */
export function drops(baseline: Ratios, now: Ratios): Drop[] {
  return Object.entries(baseline).flatMap(([what, before]) => {
    const value = now[what];
    return value !== undefined && value < before * (1 - ALLOWED_DROP) ? [{ what, before, now: value }] : [];
  });
}
