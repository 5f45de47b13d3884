import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RouterFixture, recordedCall, target } from "../../testing/router-fixture.ts";
import { BackPressureError, DeploymentUnavailableError, RequestCancelledError, SerializationError } from "../errors.ts";
import { CallState } from "../handle/call.ts";

let fixture: RouterFixture;
beforeEach(() => {
  fixture = new RouterFixture();
});
afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

const served = (replicaId: string) => fixture.replica(replicaId).open.map((call) => call.sequence);

describe("placing", () => {
  it("sends at once to a replica with a free place, without encoding", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call({ args: ["x"] });
    expect(fixture.placeOf(call)).toBe("a");
    expect(call.state).toBe(CallState.SENT);
    expect(call.body).toBeUndefined();
    fixture.replica("a").finish(call, 0, "hello");
    expect(call.outcome).toEqual({ value: "hello" });
  });

  it("never has more at a replica than it takes, and serves the oldest first", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 2 });
    const calls = Array.from({ length: 10 }, () => fixture.call());
    expect(fixture.replica("a").open).toHaveLength(2);
    expect(fixture.replica("b").open).toHaveLength(2);
    expect(fixture.router.stats().queued).toBe(6);
    for (let next = 4; next < 10; next++) {
      fixture.replica(next % 2 === 0 ? "a" : "b").finish();
      expect(fixture.placeOf(calls[next]!)).toBe(next % 2 === 0 ? "a" : "b");
    }
  });

  it("sends the next call before the one that made room settles", () => {
    fixture.update({ replicas: ["a"] });
    const first = fixture.call();
    const second = fixture.call();
    let sentWhenSettled: string | undefined;
    first.resolve = (value) => {
      first.settlements++;
      first.outcome = { value };
      sentWhenSettled = fixture.placeOf(second);
    };
    fixture.replica("a").finish(first);
    expect(sentWhenSettled).toBe("a");
  });

  it("prefers the less loaded of two, counting what others have there", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 10 });
    const first = fixture.call();
    fixture.connections.find((each) => each.open.includes(first))!.finish(first, 5);
    const busier = fixture.router.stats().replicas.find((each) => each.others === 5)!.replicaId;
    for (let i = 0; i < 5; i++) expect(fixture.placeOf(fixture.call())).not.toBe(busier);
  });

  it("waits until replicas exist", () => {
    const before = fixture.call();
    fixture.update({ state: "pending", replicas: [] });
    const pending = fixture.call();
    expect(fixture.router.stats().queued).toBe(2);
    fixture.update({ state: "available", replicas: ["a", "b"] });
    expect([fixture.placeOf(before), fixture.placeOf(pending)].sort()).toEqual(["a", "b"]);
  });

  it("gives what waits to a new replica at once", () => {
    fixture.update({ replicas: ["a"] });
    const calls = [fixture.call(), fixture.call(), fixture.call()];
    fixture.update({ replicas: ["a", "b"] });
    expect(fixture.placeOf(calls[1]!)).toBe("b");
    expect(fixture.placeOf(calls[2]!)).toBeUndefined();
  });
});

describe("the waiting line", () => {
  it("encodes when a call begins to wait: what changes later does not travel", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const list = [1];
    const call = fixture.call({ args: [list] });
    list.push(2);
    expect(call.args).toBeUndefined();
    fixture.replica("a").finish();
    expect(new TextDecoder().decode(call.body!.bytes)).toBe("[[1]]");
  });

  it("serves by the order of the calls, not of their coming", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const early = recordedCall();
    const late = fixture.call();
    fixture.calls.push(early);
    fixture.router.submit(early);
    fixture.replica("a").finish();
    expect(fixture.placeOf(early)).toBe("a");
    expect(fixture.placeOf(late)).toBeUndefined();
  });

  it("serves a higher priority first, until waiting makes up for it", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const old = fixture.call({ priority: 0 });
    fixture.clock.advance(1_500);
    const urgent = fixture.call({ priority: 2 });
    const tooLate = fixture.call({ priority: 1 });
    fixture.replica("a").finish();
    expect(fixture.placeOf(urgent)).toBe("a");
    fixture.replica("a").finish();
    expect(fixture.placeOf(old)).toBe("a");
    fixture.replica("a").finish();
    expect(fixture.placeOf(tooLate)).toBe("a");
  });

  it("does not starve the lowest priority", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const lowest = fixture.call({ priority: -3 });
    let rounds = 0;
    while (fixture.placeOf(lowest) === undefined && rounds++ < 100) {
      fixture.call({ priority: 5 });
      fixture.clock.advance(100);
      fixture.replica("a").finish();
    }
    expect(rounds).toBeGreaterThan(75);
    expect(rounds).toBeLessThan(85);
  });

  it("fails a call whose arguments cannot travel, at once or while it waits, and keeps the place free", () => {
    const error = new SerializationError("no", { path: "args[0]" });
    fixture.update({ replicas: ["a"] });
    fixture.replica("a").failNextSend = error;
    expect(fixture.call().error).toBe(error);
    expect(fixture.placeOf(fixture.call())).toBe("a");
    const loop: unknown[] = [];
    loop.push(loop);
    expect(fixture.call({ args: [loop] }).error).toBeInstanceOf(TypeError);
    expect(fixture.router.stats().queued).toBe(0);
  });
});

describe("refusals", () => {
  it("tries other replicas at once, and the refusing one when it says that there is room", () => {
    fixture.update({ replicas: ["a", "b"] });
    const call = fixture.call();
    const first = fixture.placeOf(call)!;
    const second = first === "a" ? "b" : "a";
    fixture.replica(first).refuse(call);
    expect(fixture.placeOf(call)).toBe(second);
    fixture.replica(second).refuse(call);
    expect(fixture.placeOf(call)).toBeUndefined();
    expect(fixture.router.stats().queued).toBe(1);
    fixture.clock.advance(60_000);
    expect(fixture.placeOf(call)).toBeUndefined();
    fixture.replica(first).free();
    expect(fixture.placeOf(call)).toBe(first);
  });

  it("puts a refused call before all that came after it", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 2 });
    const [first, second, third] = [fixture.call(), fixture.call(), fixture.call()];
    fixture.replica("a").refuse(second);
    fixture.replica("a").refuse(first);
    fixture.replica("a").free();
    expect(served("a")).toEqual([first.sequence, second.sequence]);
    expect(fixture.placeOf(third)).toBeUndefined();
  });

  it("tries again when a report shows room", () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 3 });
    const [first, second, third] = [fixture.call(), fixture.call(), fixture.call()];
    fixture.replica("a").refuse(third, "full", 1);
    fixture.replica("a").finish(first, 2);
    expect(fixture.placeOf(third)).toBeUndefined();
    fixture.replica("a").finish(second, 1);
    expect(fixture.placeOf(third)).toBe("a");
  });

  it("does not send back what was cancelled on the way", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call();
    fixture.router.abandon(call, new RequestCancelledError("stop", { requestId: "1" }));
    fixture.replica("a").refuse(call);
    expect(fixture.router.stats()).toMatchObject({ queued: 0, ongoing: 0 });
  });
});

describe("back-pressure", () => {
  it("refuses at once, with the numbers, and only if there is no place", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 2, maxQueuedRequests: 3 });
    const calls = Array.from({ length: 10 }, () => fixture.call());
    expect(calls.map((call) => call.error instanceof BackPressureError)).toEqual([
      ...Array<boolean>(7).fill(false),
      true,
      true,
      true,
    ]);
    expect(calls[9]!.error).toMatchObject({ deployment: "Pricing", queued: 3, maxQueuedRequests: 3, retryable: true });
  });

  it("refuses nobody in a burst that the places can take", () => {
    fixture.update({ replicas: ["a", "b"], maxOngoingRequests: 5, maxQueuedRequests: 0 });
    const calls = Array.from({ length: 10 }, () => fixture.call());
    expect(calls.filter((call) => call.error !== undefined)).toEqual([]);
    expect(fixture.call().error).toBeInstanceOf(BackPressureError);
    fixture.replica("a").finish();
    expect(fixture.call().error).toBeUndefined();
  });

  it("does not refuse what a replica refused", () => {
    fixture.update({ replicas: ["a"], maxQueuedRequests: 1 });
    const sent = fixture.call();
    const waits = fixture.call();
    fixture.replica("a").refuse(sent);
    expect(fixture.router.stats().queued).toBe(2);
    expect([sent.error, waits.error]).toEqual([undefined, undefined]);
    expect(fixture.call().error).toMatchObject({ queued: 2, maxQueuedRequests: 1 });
  });

  it("takes a changed limit for new calls only", () => {
    fixture.update({ replicas: ["a"], maxQueuedRequests: 2 });
    const calls = [fixture.call(), fixture.call(), fixture.call()];
    fixture.update({ maxQueuedRequests: 1 });
    expect(calls.map((call) => call.error)).toEqual([undefined, undefined, undefined]);
    expect(fixture.call().error).toBeInstanceOf(BackPressureError);
    fixture.update({ maxQueuedRequests: -1 });
    expect(fixture.call().error).toBeUndefined();
  });

  it("applies the limit also to calls made before it was known: the newest are refused", () => {
    const calls = Array.from({ length: 6 }, () => fixture.call());
    fixture.update({ replicas: ["a"], maxOngoingRequests: 2, maxQueuedRequests: 1 });
    expect(calls.map((call) => call.error instanceof BackPressureError)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
  });

  it("refuses again as soon as cancels have made no room", () => {
    fixture.update({ replicas: ["a"], maxQueuedRequests: 1 });
    fixture.call();
    const waits = fixture.call();
    expect(fixture.call().error).toBeInstanceOf(BackPressureError);
    fixture.router.abandon(waits, new Error("stop"));
    expect(fixture.call().error).toBeUndefined();
  });
});

describe("abandoning", () => {
  it("takes a waiting call out of the line", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const call = fixture.call();
    const error = new RequestCancelledError("stop", { requestId: "1" });
    fixture.router.abandon(call, error);
    fixture.router.abandon(call, new Error("twice"));
    expect(call.error).toBe(error);
    expect(fixture.router.stats().queued).toBe(0);
    fixture.replica("a").finish();
    expect(fixture.replica("a").received).toBe(1);
  });

  it("stops a call at its replica, and keeps its place until the work there has ended", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call();
    const error = new Error("stop");
    fixture.router.abandon(call, error);
    expect(call.error).toBe(error);
    expect(fixture.replica("a").cancelled).toEqual([{ call, reason: error }]);
    const next = fixture.call();
    expect(fixture.placeOf(next)).toBeUndefined();
    expect(fixture.router.stats()).toMatchObject({ queued: 1, ongoing: 1 });
    fixture.replica("a").finish(call);
    expect(fixture.placeOf(next)).toBe("a");
    expect(call.settlements).toBe(1);
  });

  it("ends a call that was not submitted yet, and does not take it then", () => {
    fixture.update({ replicas: ["a"] });
    const call = recordedCall();
    fixture.router.abandon(call, new Error("stop"));
    fixture.router.submit(call);
    expect(fixture.replica("a").received).toBe(0);
    expect(call.settlements).toBe(1);
  });

  it("leaves nothing of 100,000 calls that wait and are cancelled", () => {
    fixture.update({ replicas: ["a"] });
    fixture.call();
    const calls = Array.from({ length: 100_000 }, () => {
      const call = recordedCall({ args: ["x"] });
      fixture.router.submit(call);
      return call;
    });
    expect(fixture.router.stats().queued).toBe(100_000);
    const error = new Error("stop");
    for (let i = 0; i < calls.length; i++) fixture.router.abandon(calls[(i * 7_919) % calls.length]!, error);
    expect(fixture.router.stats().queued).toBe(0);
    expect(calls.every((call) => call.settlements === 1 && call.body === undefined)).toBe(true);
    fixture.replica("a").finish();
    expect(fixture.replica("a").received).toBe(1);
  });

  it("hands on the credit of a stream while it is at a replica", () => {
    fixture.update({ replicas: ["a"] });
    const call = fixture.call({ stream: true });
    fixture.router.grant(call, 3, 40);
    expect(fixture.replica("a").granted).toEqual([{ call, items: 3, bytes: 40 }]);
    fixture.replica("a").finish(call);
    fixture.router.grant(call, 1, 1);
    expect(fixture.replica("a").granted).toHaveLength(1);
  });
});

describe("a deployment that takes no requests", () => {
  it("rejects what waits and what comes, and works again when it is back", () => {
    fixture.update({ state: "pending" });
    const waits = fixture.call();
    fixture.update({ state: "failed", message: "The constructor threw: no weights." });
    const refused = fixture.call();
    for (const call of [waits, refused]) {
      expect(call.error).toBeInstanceOf(DeploymentUnavailableError);
      expect((call.error as Error).message).toMatch(
        /"Pricing" of application "shop" could not be deployed: The constructor threw: no weights\. .*run the application again/,
      );
    }
    expect(waits.error).not.toBe(refused.error);
    fixture.update({ state: "available", message: "", replicas: [target("a")] });
    expect(fixture.placeOf(fixture.call())).toBe("a");
  });

  it("rejects at once what comes after it was deleted, and lets what runs finish", () => {
    fixture.update({ replicas: ["a"] });
    const runs = fixture.call();
    fixture.update({ state: "gone", replicas: [] });
    expect(fixture.call().error).toBeInstanceOf(DeploymentUnavailableError);
    expect(fixture.replica("a").closed).toBe(false);
    fixture.replica("a").finish(runs);
    expect(runs.outcome).toEqual({ value: "done" });
    expect(fixture.replica("a").closed).toBe(true);
  });
});
