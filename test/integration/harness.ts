import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { serve, type Application, type DeploymentHandle, type RunOptions } from "heliostat";
import { expect, vi } from "vitest";
import { openInstances } from "../../src/app/serve.ts";

/** Where an application runs: the same tests hold for both. */
export type Mode = "processes" | "local";

/** An application that runs until the end of the block; then it is checked that nothing is left of it. */
export interface Running<T> extends AsyncDisposable {
  readonly handle: DeploymentHandle<T>;
}

/** Runs an application in one of the two ways. */
export async function start<T>(mode: Mode, app: Application<T>, options: RunOptions = {}): Promise<Running<T>> {
  const end = watchLeftovers();
  const handle = await serve.run(app, { http: { port: 0 }, ...options, local: mode === "local" });
  return { handle, [Symbol.asyncDispose]: end };
}

/** Runs one more application beside those that run; at the end it alone is deleted. */
export async function startBeside<T>(mode: Mode, app: Application<T>, name: string): Promise<Running<T>> {
  const children = childPids(process.pid).length;
  const handle = await serve.run(app, { name, routePrefix: `/${name}`, http: { port: 0 }, local: mode === "local" });
  return {
    handle,
    async [Symbol.asyncDispose]() {
      await serve.delete(name);
      expect(Object.keys((await serve.status()).applications)).not.toContain(name);
      expect(childPids(process.pid)).toHaveLength(children);
    },
  };
}

/** Notes what there is now; the function it gives shuts everything down and checks that no more than that is left. */
export function watchLeftovers(): () => Promise<void> {
  const before = openResources();
  return async () => {
    const instances = openInstances();
    await serve.shutdown();
    expect(childPids(process.pid), "child processes after shutdown").toEqual([]);
    expect(socketDirectories(process.pid), "socket directories after shutdown").toEqual([]);
    for (const { caller, controller } of instances) {
      expect(caller.leftovers(), "calls after shutdown").toEqual([]);
      expect(controller.leftovers()).toEqual({ applications: [], replicas: [], subscriptions: 0, timers: 0 });
    }
    // A handle that was closed is gone one turn later.
    await nextTurn();
    const added = () => Object.entries(openResources()).filter(([kind, count]) => count > (before[kind] ?? 0));
    await vi.waitFor(() => expect(added(), "open handles after shutdown").toEqual([]), {
      timeout: 1_000,
      interval: 10,
    });
  };
}

/** No call of this process is waiting or running any more. */
export async function quiet(): Promise<void> {
  await vi.waitFor(() => expect(openInstances().flatMap(({ caller }) => caller.leftovers())).toEqual([]), {
    timeout: 2_000,
    interval: 5,
  });
}

/** Waits until something holds that another process decides. */
export async function until(holds: () => Promise<boolean> | boolean, what: string, timeoutMs = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** What a promise rejects with; an error if it does not. */
export async function failureOf(promise: PromiseLike<unknown>): Promise<Error> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error(`Expected a failure, but got ${JSON.stringify(value)}.`);
}

/** Processes whose parent is `pid`, and that have not ended. */
export function childPids(pid: number): number[] {
  return allProcesses().flatMap(({ pid: child, parent, state }) => (parent === pid && state !== "Z" ? [child] : []));
}

/** Whether a process has not ended. */
export function isRunning(pid: number): boolean {
  return allProcesses().some((each) => each.pid === pid && each.state !== "Z");
}

/** Socket directories of a driver. */
export function socketDirectories(pid: number): string[] {
  try {
    return readdirSync(join(tmpdir(), `heliostat-${process.getuid!()}`)).filter((name) => name.startsWith(`${pid}-`));
  } catch {
    return [];
  }
}

function allProcesses(): { pid: number; parent: number; state: string }[] {
  const found = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      found.push({ pid: Number(name), parent: Number(parent), state: state! });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Sockets, processes and ports that keep the event loop alive; timers and files are the test runner's too. */
function openResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/Pipe|Process|MessagePort|TCP|Worker/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
