import { readFileSync } from "node:fs";

/** What a process holds for itself alone, and what one more of it adds; NaN where the system does not tell. */
export function privateBytes(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
    return [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)].reduce(
      (sum, [, kilobytes]) => sum + Number(kilobytes) * 1_024,
      0,
    );
  } catch {
    return Number.NaN;
  }
}
