import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * On which cores the two sides of a measurement run. It decides more about latency than most code does:
 *
 * - `split`: caller on core 0, peers on core 1. Every wake-up crosses cores.
 * - `same`: both on core 0. The pure cost of the software.
 * - `free`: as the scheduler likes, which is one of the two, and changes.
 */
export type Placement = "split" | "same" | "free";

/** Whether processes can be pinned here. */
export function canPin(): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync("taskset", ["-p", `${process.pid}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

export function pinCaller(placement: Placement): void {
  if (placement !== "free") pin(process.pid, 0);
}

export function pinPeers(placement: Placement, pids: readonly number[]): void {
  if (placement === "free") return;
  for (const pid of pids) pin(pid, placement === "same" ? 0 : 1);
}

/** The threads of this process, to find those that a peer starts in it. */
export function threadsOfThisProcess(): string[] {
  try {
    return readdirSync("/proc/self/task");
  } catch {
    return [];
  }
}

/** Threads of this process that are the other side of a measurement. */
export function pinPeerThreads(placement: Placement, before: readonly string[]): void {
  if (placement === "free") return;
  for (const thread of threadsOfThisProcess()) {
    if (before.includes(thread)) continue;
    execFileSync("taskset", ["-p", "-c", placement === "same" ? "0" : "1", thread], { stdio: "ignore" });
  }
}

/** All threads: those that V8 and libuv have started too. */
function pin(pid: number, core: number): void {
  execFileSync("taskset", ["-a", "-p", "-c", `${core}`, `${pid}`], { stdio: "ignore" });
}
