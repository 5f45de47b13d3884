import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RouterFixture } from "../../testing/router-fixture.ts";
import { ReplicaDiedError } from "../errors.ts";

let fixture: RouterFixture;
beforeEach(() => {
  fixture = new RouterFixture();
});
afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

describe("a lost connection", () => {
  it("routes again what was never written, keeping its age, and rejects what may have run", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 3 });
    const [written, unwritten, cancelled] = [fixture.call(), fixture.call(), fixture.call()];
    const behind = fixture.call();
    fixture.router.abandon(cancelled, new Error("stop"));
    fixture.replica("a").lose(new Error("connection reset by peer"), (call) => call !== unwritten);
    expect(written.error).toBeInstanceOf(ReplicaDiedError);
    expect(written.error).toMatchObject({ replicaId: "a", retryable: true });
    expect((written.error as Error).message).toMatch(/Replica a of deployment "Pricing".*connection reset by peer/);
    expect(fixture.router.stats()).toMatchObject({ queued: 2, ongoing: 0 });
    fixture.update({ replicas: ["b"], maxOngoingRequests: 1 });
    expect(fixture.placeOf(unwritten)).toBe("b");
    expect(fixture.placeOf(behind)).toBeUndefined();
  });

  it("leaves the pick at once, and does not hide other replicas", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 5 });
    fixture.replica("a").lose();
    for (let i = 0; i < 5; i++) expect(fixture.placeOf(fixture.call())).toBe("b");
  });

  it("is tried for again after 100 ms, doubling to 2 s, while the replica is in the set", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call();
    const startMs = fixture.clock.now();
    const attempts: number[] = [];
    let connections = 1;
    fixture.replica("a").lose(new Error("refused"), () => false);
    for (let step = 0; step < 900; step++) {
      fixture.clock.advance(10);
      if (fixture.connections.length === connections) continue;
      connections = fixture.connections.length;
      attempts.push(fixture.clock.now() - startMs);
      expect(fixture.placeOf(call)).toBe("a");
      fixture.replica("a").lose(new Error("refused"), () => false);
    }
    expect(attempts.slice(0, 7)).toEqual([100, 300, 700, 1_500, 3_100, 5_100, 7_100]);
    fixture.update({ replicas: [] });
    fixture.clock.advance(60_000);
    expect(fixture.connections).toHaveLength(connections);
    expect(fixture.clock.pendingTimers).toBe(0);
    fixture.update({ replicas: ["b"] });
    expect(fixture.placeOf(call)).toBe("b");
  });

  it("starts over with short waits after a connection that lasted", () => {
    fixture.update({ replicas: ["a"] });
    for (let i = 0; i < 4; i++) {
      fixture.replica("a").lose();
      fixture.clock.advance(2_000);
    }
    fixture.clock.advance(5_000);
    const before = fixture.connections.length;
    fixture.replica("a").lose();
    fixture.clock.advance(100);
    expect(fixture.connections).toHaveLength(before + 1);
  });

  it("that `send` is the first to notice sends the call elsewhere", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 4 });
    fixture.replica("a").vanish();
    const calls = Array.from({ length: 4 }, () => fixture.call());
    for (const call of calls) expect(fixture.placeOf(call)).toBe("b");
    const waits = fixture.call();
    expect(waits.error).toBeUndefined();
    fixture.clock.advance(100);
    expect(fixture.placeOf(waits)).toBe("a");
  });

  it("takes no place with it: late reports of the old connection do not count for the new one", () => {
    fixture.update({ replicas: ["a"] });
    const [first, second] = [fixture.call(), fixture.call()];
    const old = fixture.replica("a");
    old.lose();
    fixture.clock.advance(100);
    expect(fixture.replica("a")).not.toBe(old);
    expect(fixture.placeOf(second)).toBe("a");
    old.free(0);
    const third = fixture.call();
    expect(fixture.placeOf(third)).toBeUndefined();
    expect(first.error).toBeInstanceOf(ReplicaDiedError);
  });
});

describe("a draining replica", () => {
  it("leaves the pick, finishes what it has, and is hung up on when it has nothing left", () => {
    fixture.update({ replicas: ["a", "b"] });
    const calls = [fixture.call(), fixture.call()];
    const onA = calls.find((call) => fixture.placeOf(call) === "a")!;
    fixture.replica("a").drain();
    const waits = fixture.call();
    expect(fixture.replica("a").closed).toBe(false);
    fixture.replica("a").finish(onA);
    expect(onA.outcome).toEqual({ value: "done" });
    expect(fixture.placeOf(waits)).toBeUndefined();
    expect(fixture.replica("a").closed).toBe(true);
    fixture.clock.advance(10_000);
    expect(fixture.connections).toHaveLength(2);
    fixture.replica("b").finish();
    expect(fixture.placeOf(waits)).toBe("b");
  });

  it("that refuses a call is left at once", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 3 });
    const call = fixture.call();
    const first = fixture.placeOf(call)!;
    fixture.replica(first).refuse(call, "draining", 0);
    expect(fixture.placeOf(call)).not.toBe(first);
    for (let i = 0; i < 3; i++) expect(fixture.placeOf(fixture.call())).not.toBe(first);
  });
});

describe("a newer snapshot", () => {
  it("keeps the connections of replicas that stay and closes those that left when their calls have ended", () => {
    fixture.update({ replicas: ["a", "b"] });
    const calls = [fixture.call(), fixture.call()];
    const [a, b] = [fixture.replica("a"), fixture.replica("b")];
    fixture.update({ replicas: ["b", "c"] });
    expect(fixture.connections.map((each) => each.target.replicaId)).toEqual(["a", "b", "c"]);
    expect(fixture.replica("b")).toBe(b);
    expect(a.closed).toBe(false);
    a.finish();
    expect(a.closed).toBe(true);
    expect(calls.map((call) => call.outcome).filter((outcome) => outcome !== undefined)).toEqual([{ value: "done" }]);
  });

  it("closes an idle replica that left at once", () => {
    fixture.update({ replicas: ["a"] });
    fixture.update({ replicas: [] });
    expect(fixture.replica("a").closed).toBe(true);
  });

  it("takes back a replica that left and returned while its call ran", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call();
    fixture.update({ replicas: [] });
    const waits = fixture.call();
    fixture.update({ replicas: ["a"] });
    expect(fixture.connections).toHaveLength(1);
    expect(fixture.placeOf(waits)).toBeUndefined();
    fixture.replica("a").finish(call);
    expect(fixture.replica("a").closed).toBe(false);
    expect(fixture.placeOf(waits)).toBe("a");
  });

  it("rejects calls at a replica that left and then died", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call();
    fixture.update({ replicas: [] });
    fixture.replica("a").lose();
    expect(call.error).toBeInstanceOf(ReplicaDiedError);
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  it("is ignored if it is an older one", () => {
    fixture.update({ version: 5, replicas: ["a"] });
    fixture.update({ version: 4, replicas: ["b"] });
    expect(fixture.connections.map((each) => each.target.replicaId)).toEqual(["a"]);
  });

  it("changes the limit in both directions", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 1 });
    const calls = Array.from({ length: 4 }, () => fixture.call());
    fixture.update({ maxOngoingRequests: 3 });
    expect(fixture.replica("a").open).toHaveLength(3);
    fixture.update({ maxOngoingRequests: 1 });
    fixture.replica("a").finish();
    fixture.replica("a").finish();
    expect(fixture.placeOf(calls[3]!)).toBeUndefined();
    fixture.replica("a").finish();
    expect(fixture.placeOf(calls[3]!)).toBe("a");
  });

  it("with a higher limit is a reason to try where there was no room", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 1 });
    const call = fixture.call();
    fixture.replica("a").refuse(call);
    fixture.update({ maxOngoingRequests: 2 });
    expect(fixture.placeOf(call)).toBe("a");
  });
});

describe("close", () => {
  it("ends everything with its error, also what comes later", () => {
    fixture.update({ replicas: ["a"] });
    const error = new Error("shut down");
    const [runs, waits] = [fixture.call(), fixture.call()];
    fixture.router.close(error);
    expect([runs.error, waits.error, fixture.call().error]).toEqual([error, error, error]);
    expect(fixture.replica("a").closed).toBe(true);
    fixture.update({ replicas: ["a", "b"] });
    expect(fixture.connections).toHaveLength(1);
  });

  it("stops trying to connect", () => {
    fixture.update({ replicas: ["a"] });
    fixture.replica("a").lose();
    fixture.router.close(new Error("shut down"));
    expect(fixture.clock.pendingTimers).toBe(0);
  });
});
