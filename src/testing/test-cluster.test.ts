import { EchoDeployment } from "../../bench/fixtures/echo.ts";
import { expect, test, vi } from "vitest";
import { serve } from "../app/serve.ts";
import { deployment } from "../core/deployment/deployment.ts";
import { DeploymentFailedError, ReplicaDiedError, RequestTimeoutError } from "../core/errors.ts";
import type { DeploymentHandle } from "../core/handle/types.ts";
import { LeftoversError } from "./leftovers-error.ts";
import { testCluster } from "./test-cluster.ts";

/** Time can pass in it without a test waiting: nothing here uses real timers. */
const HOUR_MS = 3_600_000;

class Gate {
  readonly stuck: Promise<string> = new Promise(() => {});
  stay(): Promise<string> {
    return this.stuck;
  }
  echo(text: string): string {
    return text;
  }
  async *count(to: number): AsyncGenerator<number> {
    for (let i = 0; i < to; i++) yield i;
  }
}

class Front {
  readonly #gate: DeploymentHandle<Gate>;
  constructor(gate: DeploymentHandle<Gate>) {
    this.#gate = gate;
  }
  async call(text: string): Promise<string> {
    return `front ${await this.#gate.echo.remote(text)}`;
  }
}

test("runs a composed application on virtual time", async () => {
  await using cluster = await testCluster();
  const handle = await cluster.run(deployment(Front).bind(deployment(Gate).bind()));
  expect(await handle.remote("door")).toBe("front door");
  const items: number[] = [];
  for await (const item of cluster.handle<Gate>("Gate").options({ stream: true }).count.remote(3)) items.push(item);
  expect(items).toEqual([0, 1, 2]);
  expect(cluster.status().applications["default"]!.status).toBe("RUNNING");
});

test("clusters do not see each other's applications", async () => {
  await using one = await testCluster();
  await using two = await testCluster();
  await one.run(deployment(Gate).bind(), { name: "mine" });
  expect(Object.keys(one.status().applications)).toEqual(["mine"]);
  expect(Object.keys(two.status().applications)).toEqual([]);
});

test("a deadline passes when the test says so, and not before", async () => {
  await using cluster = await testCluster();
  const gate = await cluster.run(deployment(Gate).bind());
  const outcome = vi.fn();
  const call = gate.options({ timeoutMs: HOUR_MS }).stay.remote();
  call.then(outcome, outcome);
  await cluster.advance(HOUR_MS - 10);
  expect(outcome).not.toHaveBeenCalled();
  await cluster.advance(20);
  expect(outcome).toHaveBeenCalledOnce();
  expect(outcome.mock.calls[0]![0]).toBeInstanceOf(RequestTimeoutError);
  await cluster.close({ abandon: true });
});

test("a signal reaches the replica when its call is cancelled", async () => {
  let seen: AbortSignal | undefined;
  class Waiter {
    async call(): Promise<void> {
      seen = serve.getRequestContext().signal;
      await new Promise((resolve) => seen!.addEventListener("abort", resolve));
    }
  }
  await using cluster = await testCluster();
  const handle = await cluster.run(deployment(Waiter).bind());
  const call = handle.remote();
  await cluster.settle();
  expect(seen?.aborted).toBe(false);
  call.cancel();
  await expect(call).rejects.toMatchObject({ code: "REQUEST_CANCELLED" });
  await cluster.settle();
  expect(seen!.aborted).toBe(true);
});

test("a killed replica fails what it had accepted and is replaced", async () => {
  await using cluster = await testCluster();
  const gate = await cluster.run(deployment(Gate).bind());
  const call = gate.stay.remote();
  await cluster.settle();
  const killed = await cluster.killReplica({ deployment: "Gate" });
  await expect(call).rejects.toBeInstanceOf(ReplicaDiedError);
  await cluster.advance(5_000);
  const { replicas } = cluster.status().applications["default"]!.deployments["Gate"]!;
  expect(replicas.map(({ state }) => state)).toEqual(["RUNNING"]);
  expect(replicas[0]!.replicaId).not.toBe(killed);
  expect(await gate.echo.remote("again")).toBe("again");
});

test("a replica that is not there cannot be killed", async () => {
  await using cluster = await testCluster();
  await cluster.run(deployment(Gate).bind());
  await expect(cluster.killReplica("Gate#none")).rejects.toThrow(/no replica Gate#none .* Running: Gate#/);
});

test("run rejects with what a constructor throws", async () => {
  class Broken {
    constructor() {
      throw new RangeError("no weights");
    }
  }
  await using cluster = await testCluster({ log: silent });
  const running = cluster.run(deployment(Broken).bind());
  await expect(running).rejects.toBeInstanceOf(DeploymentFailedError);
  await expect(running).rejects.toThrow("no weights");
});

test("waits that nothing else can end take virtual time only", async () => {
  const cluster = await testCluster({ log: silent });
  const gate = await cluster.run(deployment(Gate).options({ gracefulShutdownTimeoutMs: HOUR_MS }).bind());
  void gate.stay.remote();
  await cluster.settle();
  const startedMs = cluster.clock.now();
  await cluster.delete("default");
  expect(cluster.clock.now() - startedMs).toBe(HOUR_MS);
  await cluster.close({ abandon: true });
});

test("a test that leaves a call open fails its check, which names the deployment", async () => {
  const cluster = await testCluster();
  const gate = await cluster.run(deployment(Gate).bind());
  void gate.stay.remote();
  const closing = cluster[Symbol.asyncDispose]();
  await expect(closing).rejects.toBeInstanceOf(LeftoversError);
  await expect(closing).rejects.toThrow("default/Gate: 0 queued, 1 ongoing");
  expect(cluster.leftovers()).toEqual([]);
});

test("a test that leaves a deadline and a waiting call fails its check", async () => {
  const cluster = await testCluster();
  const gate = await cluster.run(deployment(Gate).options({ maxOngoingRequests: 1 }).bind());
  void gate.stay.remote();
  void gate.options({ timeoutMs: HOUR_MS }).stay.remote();
  await expect(cluster.close()).rejects.toMatchObject({
    leftovers: ["default/Gate: 1 queued, 1 ongoing", "1 deadlines"],
  });
});

test("a timer that outlives the cluster fails its check", async () => {
  const cluster = await testCluster();
  cluster.clock.setTimer(HOUR_MS, () => {});
  await expect(cluster.close()).rejects.toMatchObject({ leftovers: ["1 timers"] });
});

test("a call that is only on its way when the test ends is no leak", async () => {
  const cluster = await testCluster();
  const gate = await cluster.run(deployment(Gate).bind());
  void gate.echo.remote("unawaited");
  await cluster.close();
  expect(cluster.leftovers()).toEqual([]);
});

test("a replica that runs does not block the clock for a day of health checks", async () => {
  await using cluster = await testCluster();
  const checkHealth = vi.fn();
  class Checked {
    checkHealth(): void {
      checkHealth();
    }
  }
  await cluster.run(deployment(Checked).options({ healthCheckPeriodMs: HOUR_MS }).bind());
  const before = checkHealth.mock.calls.length;
  await cluster.advance(24 * HOUR_MS);
  expect(checkHealth.mock.calls.length - before).toBeGreaterThanOrEqual(22);
});

test.each(["memory", "processes"] as const)("the same behaviour over %s", async (over) => {
  await using cluster = await testCluster({ over, log: silent });
  const echo = await cluster.run(EchoDeployment.bind());
  expect(await echo.echo.remote({ a: 1, b: "x" })).toEqual({ a: 1, b: "x" });
  const call = echo.stay.remote();
  await echo.nothing.remote();
  const killed = await cluster.killReplica({ deployment: "Echo" });
  expect(
    cluster.status().applications["default"]!.deployments["Echo"]!.replicas.map((left) => left.replicaId),
  ).not.toContain(killed);
  await expect(call).rejects.toBeInstanceOf(ReplicaDiedError);
});

test("virtual time over processes is refused", async () => {
  await expect(testCluster({ over: "processes", clock: "manual" })).rejects.toMatchObject({
    code: "CONFIG",
    path: "clock",
  });
});

test("the real clock works the same, but cannot be advanced by hand", async () => {
  await using cluster = await testCluster({ clock: "real" });
  const gate = await cluster.run(deployment(Gate).bind());
  expect(await gate.echo.remote("now")).toBe("now");
  expect(() => cluster.clock).toThrow(/real clock/);
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };
