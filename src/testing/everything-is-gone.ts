import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openInstances } from "../app/serve.ts";
import { pendingSystemTimers } from "../engine/system-clock.ts";
import { LeftoversError } from "./leftovers-error.ts";

/** How long to wait for everything to be gone. */
export interface GoneOptions {
  /** What ends by itself, such as a process that is exiting, has so many milliseconds for it. @default 1_000 */
  readonly withinMs?: number;
}

const POLL_MS = 10;
/** Part of the command line of every process that we start. */
const OURS = /replica-main\.[jt]s|heliostat-reaper/;

/**
 * Checks, after `serve.shutdown()`, that nothing of ours is left of this process: no application, no replica process,
 * no directory of sockets, no timer.
 *
 * @throws {LeftoversError} which names each thing that is left.
 */
export async function everythingIsGone(options: GoneOptions = {}): Promise<void> {
  const endMs = performance.now() + (options.withinMs ?? 1_000);
  for (;;) {
    const found = await leftovers();
    if (found.length === 0) return;
    if (performance.now() >= endMs) throw new LeftoversError("by this process", found);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function leftovers(): Promise<string[]> {
  const found = openInstances()
    .flatMap(({ controller }) => Object.keys(controller.status().applications))
    .map((app) => `application "${app}" runs: await serve.shutdown()`);
  for (const { pid, command } of children()) if (OURS.test(command)) found.push(`process ${pid}: ${command}`);
  for (const directory of socketDirectories()) found.push(`directory ${directory}`);
  const timers = pendingSystemTimers();
  if (timers > 0) found.push(`${timers} timers`);
  return found;
}

interface Child {
  readonly pid: number;
  readonly command: string;
}

/** The processes that this one has started and that run. */
function children(): Child[] {
  return existsSync("/proc/self/stat") ? childrenByProc() : childrenByPs();
}

function childrenByProc(): Child[] {
  const found: Child[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      // The name in parentheses may hold anything; the state and the parent follow the last one.
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      if (parent === process.pid)
        found.push({ pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim() });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

function childrenByPs(): Child[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(parent) === process.pid ? [{ pid: Number(pid), command: command! }] : [];
  });
}

function socketDirectories(): string[] {
  const parent = join(tmpdir(), `heliostat-${process.getuid?.() ?? 0}`);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => name.startsWith(`${process.pid}-`))
    .map((name) => join(parent, name));
}
