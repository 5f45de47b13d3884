import { readdirSync, readFileSync } from "node:fs";

/** Time on a core of all threads of a process in nanoseconds; NaN where the system does not tell. */
export function processTimeNs(pid: number): number {
  try {
    let sum = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0]);
    }
    return sum;
  } catch {
    return Number.NaN;
  }
}
