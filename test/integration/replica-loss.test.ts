import { DeploymentFailedError, ReplicaDiedError, serve, type DeploymentHandle } from "heliostat";
import { describe, expect, it } from "vitest";
import { fragile, type Fragile } from "../fixtures/fragile.ts";
import { relay } from "../fixtures/relay.ts";
import { failureOf, isRunning, quiet, start, until, watchLeftovers } from "./harness.ts";

/** Semantics 6, 12, 17, 19: replicas that die, or seem to. */
describe("a replica that is killed", () => {
  it("takes along what it had accepted, and nothing else; nothing hangs; it is replaced", async () => {
    await using running = await start("processes", fragile.options({ numReplicas: 2, maxOngoingRequests: 4 }).bind());
    const { handle } = running;
    const pids = await handle.broadcast("pid");
    const calls = Array.from({ length: 200 }, () => handle.work.remote(5));
    await Promise.race(calls);
    process.kill(pids[0]!, "SIGKILL");
    const outcomes = await Promise.allSettled(calls);
    const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as Error] : []));
    for (const error of failures) {
      expect(error).toBeInstanceOf(ReplicaDiedError);
      expect(error).toMatchObject({ code: "REPLICA_DIED", retryable: true });
      expect((error as ReplicaDiedError).replicaId).toMatch(/^Fragile#/);
      expect(error.message).toContain("Fragile");
    }
    // Four places: what waited in the caller's line went to the other replica.
    expect(failures.length).toBeLessThanOrEqual(4);
    expect(failures.length).toBeGreaterThan(0);
    await replaced(handle, pids);
    expect(await handle.work.remote(0)).toBeGreaterThan(0);
    await quiet();
  });

  it("is replaced when it was the only one: calls wait for the next", async () => {
    await using running = await start("processes", fragile.bind());
    const before = await running.handle.pid.remote();
    process.kill(before, "SIGKILL");
    await until(() => !isRunning(before), "it is not dead");
    const after = await retried(() => running.handle.pid.remote());
    expect(after).not.toBe(before);
    await quiet();
  });

  it("ends its streams with an error after the items that arrived", async () => {
    await using running = await start("processes", fragile.bind());
    const pid = await running.handle.pid.remote();
    const items: number[] = [];
    const error = await failureOf(
      (async () => {
        for await (const item of running.handle.options({ stream: true }).count.remote()) {
          items.push(item);
          if (item === 10) process.kill(pid, "SIGKILL");
        }
      })(),
    );
    expect(error).toBeInstanceOf(ReplicaDiedError);
    expect(items.slice(0, 11)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(items).toEqual(items.map((_, i) => i));
    await quiet();
  });

  it("has its place in a broadcast", async () => {
    await using running = await start("processes", fragile.options({ numReplicas: 2 }).bind());
    const results = await running.handle.broadcast("exitAt", 1).results({ returnExceptions: true });
    expect(results).toHaveLength(2);
    expect(results).toContain(0);
    expect(results.find((result) => result instanceof Error)).toBeInstanceOf(ReplicaDiedError);
    await quiet();
  });

  it("is not blamed on the deployment that called it", async () => {
    await using running = await start("processes", relay.bind(fragile.bind() as never));
    const before = replicaIds(await serve.status(), "Relay");
    const error = await failureOf(running.handle.forward.remote("exit", 1));
    expect(error).toBeInstanceOf(ReplicaDiedError);
    expect(error.message).toContain("Fragile");
    expect(await retried(() => running.handle.forward.remote("work", 0))).toBeGreaterThan(0);
    expect(replicaIds(await serve.status(), "Relay")).toEqual(before);
    await quiet();
  });
});

describe("a replica that ends itself", () => {
  it.each([
    ["process.exit in a method", (handle: DeploymentHandle<Fragile>) => handle.exit.remote(0)],
    ["process.exit after a while", (handle: DeploymentHandle<Fragile>) => handle.exitLater.remote(5)],
    ["an exception that nobody catches", (handle: DeploymentHandle<Fragile>) => handle.throwOutside.remote()],
  ])("rejects the call and is replaced (%s)", async (_, end) => {
    await using running = await start("processes", fragile.bind());
    const before = await running.handle.pid.remote();
    expect(await failureOf(end(running.handle))).toBeInstanceOf(ReplicaDiedError);
    expect(await retried(() => running.handle.pid.remote())).not.toBe(before);
    await quiet();
  });

  it("in its constructor fails the deployment, with its last words", async () => {
    const end = watchLeftovers();
    const error = await failureOf(serve.run(fragile.options({ maxConstructorRetryCount: 1 }).bind("exit")));
    expect(error).toBeInstanceOf(DeploymentFailedError);
    expect(error.message).toContain("exited with code 3");
    expect(error.message).toContain("the last words of a replica");
    await end();
  });

  it("by a crash in its constructor fails the deployment", async () => {
    const end = watchLeftovers();
    const error = await failureOf(serve.run(fragile.options({ maxConstructorRetryCount: 1 }).bind("crash")));
    expect(error).toBeInstanceOf(DeploymentFailedError);
    expect(error.message).toContain("SIGSEGV");
    await end();
  });
});

describe("a replica that is blocked", () => {
  it("is not taken for dead, and what waits for it is served afterwards", async () => {
    const options = { healthCheckPeriodMs: 50, healthCheckTimeoutMs: 200, maxOngoingRequests: 1 };
    await using running = await start("processes", fragile.options(options).bind());
    const before = await running.handle.pid.remote();
    const blocking = running.handle.block.remote(450);
    const waiting = [1, 2, 3].map(() => running.handle.pid.remote());
    expect(await blocking).toBe(before);
    expect(await Promise.all(waiting)).toEqual([before, before, before]);
    expect(await running.handle.pid.remote()).toBe(before);
  });

  it("for longer than that is replaced", async () => {
    const options = { healthCheckPeriodMs: 50, healthCheckTimeoutMs: 100 };
    await using running = await start("processes", fragile.options(options).bind());
    const before = await running.handle.pid.remote();
    const error = await failureOf(running.handle.block.remote(60_000));
    expect(error).toBeInstanceOf(ReplicaDiedError);
    expect(await retried(() => running.handle.pid.remote())).not.toBe(before);
  });
});

function replicaIds({ applications }: Awaited<ReturnType<typeof serve.status>>, deployment: string): string[] {
  return applications["default"]!.deployments[deployment]!.replicas.map(({ replicaId }) => replicaId);
}

/** As users do it: a call that may have met a dying replica is made again. */
async function retried<T>(call: () => PromiseLike<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await call();
    } catch (error) {
      if (i === 5 || !(error instanceof ReplicaDiedError)) throw error;
    }
  }
}

async function replaced(handle: DeploymentHandle<Fragile>, before: readonly number[]): Promise<void> {
  await until(async () => {
    const now = await handle.broadcast("pid").results({ returnExceptions: true });
    return (
      now.length === before.length &&
      now.every((pid) => typeof pid === "number") &&
      now.includes(before[1]!) &&
      !now.includes(before[0]!)
    );
  }, "the dead replica is not replaced");
}
