import { describe, expect, it } from "vitest";
import type { Timer } from "../contracts/clock.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { jsonEncoder, type RecordedCall, recordedCall, silentLog, target } from "../../testing/router-fixture.ts";
import { SimulatedReplica } from "../../testing/simulated-replica.ts";
import { Router } from "./router.ts";

const SHORT_MS = 10;
const LONG_MS = 1_000;
const LATENCY_MS = 0.05;

interface Scenario {
  readonly replicas: number;
  readonly limit: number;
  readonly seed: number;
  /** How many calls each caller makes. */
  readonly callsOf: readonly number[];
  /** Time between the calls of all callers together, on average; 0: all at once. */
  readonly gapMs: number;
}

/** Tells before each timer: between two timers nothing changes, so sums over time can be exact. */
class ObservedClock extends ManualClock {
  onTimer: () => void = () => {};

  override setTimer(delayMs: number, fn: () => void): Timer {
    return super.setTimer(delayMs, () => {
      this.onTimer();
      fn();
    });
  }
}

/** Runs callers against replicas in virtual time and measures how much of them was idle while work waited anywhere. */
function simulate({ replicas, limit, seed, callsOf, gapMs }: Scenario) {
  const clock = new ObservedClock({ seed });
  const work = new Map<unknown, number>();
  let idleMs = 0;
  let queuedMs = 0;
  let sinceMs = clock.now();
  clock.onTimer = () => {
    const elapsedMs = clock.now() - sinceMs;
    sinceMs = clock.now();
    // What is on its way counts as waiting: only what runs does not.
    const admitted = hosts.reduce((sum, host) => sum + host.admitted, 0);
    if (elapsedMs === 0 || calls.length === admitted) return;
    queuedMs += elapsedMs * replicas * limit;
    for (const host of hosts) idleMs += elapsedMs * (limit - host.ongoing);
  };
  const hosts = Array.from(
    { length: replicas },
    () => new SimulatedReplica({ clock, limit, latencyMs: LATENCY_MS, workMs: (call) => work.get(call)! }),
  );
  const targets = hosts.map((_, i) => target(`r${i}`));
  const routers = callsOf.map(() => {
    const router = new Router({
      app: "shop",
      deployment: "Pricing",
      clock,
      connect: (replica, listener) => hosts[Number(replica.replicaId.slice(1))]!.connect(listener),
      encoder: jsonEncoder,
      nodeId: "here",
      log: silentLog,
      resolvePolicy: () => undefined,
    });
    router.update({
      app: "shop",
      deployment: "Pricing",
      version: 1,
      state: "available",
      message: "",
      maxOngoingRequests: limit,
      maxQueuedRequests: -1,
      policy: "power-of-two-choices",
      replicas: targets,
    });
    return router;
  });
  const calls: RecordedCall[] = [];
  const makers = callsOf.flatMap((count, caller) => Array<number>(count).fill(caller));
  let atMs = 0;
  while (makers.length > 0) {
    const [caller] = makers.splice(Math.floor(clock.random() * makers.length), 1);
    atMs += -Math.log(1 - clock.random()) * gapMs;
    const longCall = clock.random() < 0.5;
    clock.setTimer(atMs, () => {
      const call = recordedCall();
      work.set(call, longCall ? LONG_MS : SHORT_MS);
      calls.push(call);
      routers[caller!]!.submit(call);
    });
  }
  clock.runAll();
  return { hosts, routers, calls, idleShare: idleMs / queuedMs, queuedMs };
}

function expectSound({ hosts, routers, calls }: ReturnType<typeof simulate>, { limit, callsOf }: Scenario): void {
  const total = callsOf.reduce((sum, count) => sum + count, 0);
  expect(calls).toHaveLength(total);
  expect(calls.every((call) => call.settlements === 1 && call.error === undefined)).toBe(true);
  // Nothing ran twice, and no replica was ever over its limit.
  expect(hosts.reduce((sum, host) => sum + host.admitted, 0)).toBe(total);
  expect(Math.max(...hosts.map((host) => host.mostOngoing))).toBe(limit);
  for (const router of routers) expect(router.stats()).toMatchObject({ queued: 0, ongoing: 0 });
}

const backlog = { replicas: 8, limit: 1, callsOf: [250, 250, 250, 250], gapMs: 0 };
// Eight replicas with half a second of work a call take one in 63 ms.
const busy = { ...backlog, gapMs: 66 };
const uneven = { ...busy, callsOf: [850, 50, 50, 50] };
const single = { ...busy, callsOf: [1_000] };
const many = { replicas: 32, limit: 1, callsOf: [250, 250, 250, 250], gapMs: 16 };

describe.each(Object.entries({ backlog, busy, uneven, single, many }))(
  "%s: replicas at limit 1, calls of 10 and 1,000 ms",
  (_, shape) => {
    it.each([1, 2, 3])("are idle for less than a hundredth of the time while calls wait, seed %i", (seed) => {
      const scenario = { ...shape, seed };
      const result = simulate(scenario);
      expectSound(result, scenario);
      expect(result.queuedMs).toBeGreaterThan(1_000);
      expect(result.idleShare).toBeLessThan(0.01);
    });
  },
);

describe("with several places per replica", () => {
  it("nothing runs twice, and limits hold", () => {
    const scenario = { replicas: 4, limit: 3, callsOf: [200, 200, 200], gapMs: 40, seed: 9 };
    const result = simulate(scenario);
    expectSound(result, scenario);
    expect(result.idleShare).toBeLessThan(0.01);
  });
});
