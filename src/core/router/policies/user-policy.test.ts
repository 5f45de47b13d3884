import { afterEach, describe, expect, it } from "vitest";
import { RouterFixture, target } from "../../../testing/router-fixture.ts";
import { ConfigError } from "../../errors.ts";
import type { ReplicaCandidate, RoutedRequest, RouterPolicy } from "../policy.ts";

const reference = { module: "file:///app.ts", name: "Pricing", ordinal: 0 };
let fixture: RouterFixture;

function start(policy: RouterPolicy | undefined, change: Parameters<RouterFixture["update"]>[0] = {}): void {
  fixture = new RouterFixture({ policies: policy === undefined ? {} : { Pricing: policy } });
  fixture.update({ replicas: ["a", "b"], policy: reference, ...change });
}

afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

describe("a user's policy", () => {
  it("sees the replicas with a free place in the order of their start, and the request", () => {
    const seen: { candidates: readonly ReplicaCandidate[]; request: RoutedRequest }[] = [];
    start(
      (candidates, request) => {
        seen.push({ candidates, request });
        return candidates.find((each) => each.replicaId === "a") ?? candidates[0]!;
      },
      { replicas: [target("b", { nodeId: "far", modelIds: ["m"], stats: { depth: 3 } }), "a"] },
    );
    fixture.call({ args: ["x", 1], method: "price", sessionId: "s", multiplexedModelId: "m" });
    fixture.call();
    const [first, second] = seen;
    expect(first!.candidates).toEqual([
      {
        replicaId: "b",
        nodeId: "far",
        ongoing: 0,
        capacity: 1,
        multiplexedModelIds: new Set(["m"]),
        stats: { depth: 3 },
      },
      // The model counts as held as soon as a request for it was sent there.
      { replicaId: "a", nodeId: "here", ongoing: 0, capacity: 1, multiplexedModelIds: new Set(["m"]), stats: {} },
    ]);
    expect(first!.request).toMatchObject({ args: ["x", 1], method: "price", sessionId: "s", multiplexedModelId: "m" });
    expect(first!.request.requestId).not.toBe("");
    expect(first!.request.random()).toBeLessThan(1);
    expect(second!.candidates.map((each) => each.replicaId)).toEqual(["b"]);
  });

  it("may let a request wait without holding up others", () => {
    start((candidates, request) =>
      request.args[0] === "only-b" ? (candidates.find((each) => each.replicaId === "b") ?? null) : candidates[0]!,
    );
    const first = fixture.call({ args: ["only-b"] });
    const second = fixture.call({ args: ["only-b"] });
    const third = fixture.call({ args: ["any"] });
    expect([fixture.placeOf(first), fixture.placeOf(second), fixture.placeOf(third)]).toEqual(["b", undefined, "a"]);
    const fourth = fixture.call({ args: ["any"] });
    fixture.replica("a").finish();
    expect([fixture.placeOf(second), fixture.placeOf(fourth)]).toEqual([undefined, "a"]);
    fixture.replica("b").finish();
    expect(fixture.placeOf(second)).toBe("b");
  });

  it("is asked again about a waiting request whenever a replica reports, in the order of the requests", () => {
    start((candidates) => candidates.find((each) => each.ongoing === 0) ?? null, {
      replicas: ["a"],
      maxOngoingRequests: 5,
    });
    const calls = [fixture.call(), fixture.call(), fixture.call()];
    expect(calls.map((call) => fixture.placeOf(call))).toEqual(["a", undefined, undefined]);
    fixture.replica("a").finish();
    expect(calls.map((call) => fixture.placeOf(call))).toEqual([undefined, "a", undefined]);
  });

  it("still sees the arguments of a request that waits", () => {
    const seen: unknown[] = [];
    start(
      (candidates, request) => {
        seen.push(request.args[0]);
        return candidates[0]!;
      },
      { replicas: ["a"] },
    );
    fixture.call({ args: ["one"] });
    fixture.call({ args: ["two"] });
    fixture.replica("a").finish();
    expect(seen).toEqual(["one", "two"]);
  });

  it("sees the arguments also of requests that began to wait before it was in use", () => {
    const seen: unknown[] = [];
    start((candidates, request) => (seen.push(request.args), candidates[0]!), {
      policy: "power-of-two-choices",
      replicas: [],
    });
    fixture.call({ args: ["early", { n: 1 }] });
    fixture.update({ policy: reference, replicas: ["a"] });
    expect(seen).toEqual([["early", { n: 1 }]]);
  });

  it("that throws fails that request alone", () => {
    const error = new Error("no idea");
    start((candidates, request) => {
      if (request.args[0] === "bad") throw error;
      return candidates[0]!;
    });
    expect(fixture.call({ args: ["bad"] }).error).toBe(error);
    expect(fixture.placeOf(fixture.call())).toBe("a");
  });

  it.each([
    [
      "a copy",
      (candidates: readonly ReplicaCandidate[]) => ({ ...candidates[0]! }),
      /an object for replica a, which is none of its 2 candidates/,
    ],
    ["nothing", () => undefined, /gave undefined.*null to let the request wait/],
    ["a promise", async (candidates: readonly ReplicaCandidate[]) => candidates[0]!, /must be synchronous/],
  ])("that gives %s fails the request with an error that says so", (_, policy, message) => {
    start(policy as never);
    const call = fixture.call();
    expect(call.error).toBeInstanceOf(ConfigError);
    expect((call.error as Error).message).toMatch(message);
  });

  it("may make calls and cancel others while it is asked", () => {
    let inner: ReturnType<RouterFixture["call"]> | undefined;
    let victim: ReturnType<RouterFixture["call"]> | undefined;
    start((candidates, request) => {
      if (request.args[0] === "outer" && inner === undefined) {
        inner = fixture.call();
        fixture.router.abandon(victim!, new Error("stop"));
      }
      return request.args[0] === "never" ? null : candidates[0]!;
    });
    victim = fixture.call({ args: ["never"] });
    const outer = fixture.call({ args: ["outer"] });
    expect([fixture.placeOf(inner!), fixture.placeOf(outer)].sort()).toEqual(["a", "b"]);
    expect(fixture.router.stats()).toMatchObject({ queued: 0, ongoing: 2 });
  });

  it("that is not found is reported, and requests are routed without it", () => {
    const warnings: string[] = [];
    fixture = new RouterFixture({
      log: { debug() {}, info() {}, warn: (message) => warnings.push(message), error() {} },
    });
    fixture.update({ replicas: ["a"], policy: reference });
    expect(fixture.placeOf(fixture.call())).toBe("a");
    expect(warnings).toEqual([
      expect.stringMatching(/"Pricing" of application "shop" was not found in file:\/\/\/app\.ts/),
    ]);
  });

  it("gets the near replicas first if the handle asks for it", () => {
    start((candidates) => candidates[0]!, { replicas: [target("far", { nodeId: "there" }), "near"] });
    expect(fixture.placeOf(fixture.call({ preferLocalRouting: true }))).toBe("near");
    expect(fixture.placeOf(fixture.call({ preferLocalRouting: true }))).toBe("far");
  });
});
