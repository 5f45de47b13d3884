import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process that cannot be taken for a later one of the same number. */
export interface ProcessMark {
  readonly pid: number;
  /** When it was started, as the system writes it. */
  readonly start: string;
}

/** Whether the process runs that was marked. */
export function isSameProcess({ pid, start }: ProcessMark): boolean {
  return Number.isInteger(pid) && pid > 0 && startOfProcess(pid) === start;
}

/** When a process was started; undefined if there is none of this number, or it has ended and only waits to be reaped. */
export function startOfProcess(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      // The name in parentheses may hold anything.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return started.trim() || undefined;
  } catch {
    return undefined;
  }
}
