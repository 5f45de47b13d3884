import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RecordedCall, recordedCall, RouterFixture } from "../../testing/router-fixture.ts";
import { DeploymentUnavailableError, ReplicaDiedError, ReplicaUnavailableError } from "../errors.ts";
import type { ReplicaTarget } from "./snapshot.ts";

let fixture: RouterFixture;
beforeEach(() => {
  fixture = new RouterFixture();
});
afterEach(() => {
  expect(fixture.end()).toEqual([]);
});

const make = (replica: ReplicaTarget): RecordedCall => {
  const call = recordedCall({ broadcast: true, args: [replica.replicaId] });
  fixture.calls.push(call);
  return call;
};
const places = (calls: readonly unknown[]) => (calls as RecordedCall[]).map((call) => fixture.placeOf(call));

describe("broadcast", () => {
  it("sends to every replica at once, in the order of their start, beside all limits", async () => {
    fixture.update({ replicas: ["c", "a", "b"], maxOngoingRequests: 1, maxQueuedRequests: 0 });
    for (let i = 0; i < 3; i++) fixture.call();
    const broadcast = fixture.router.broadcast(make);
    expect(fixture.connections.map((each) => each.open.length)).toEqual([2, 2, 2]);
    expect(places(await broadcast.calls)).toEqual(["c", "a", "b"]);
    expect(fixture.router.stats().ongoing).toBe(6);
  });

  it("takes no place and gives none back", async () => {
    fixture.update({ replicas: ["a"], maxOngoingRequests: 1 });
    const [call] = await fixture.router.broadcast(make).calls;
    expect(fixture.placeOf(fixture.call())).toBe("a");
    fixture.replica("a").finish(call);
    const waits = fixture.call();
    expect(fixture.placeOf(waits)).toBeUndefined();
  });

  it("waits for replicas to exist", async () => {
    const broadcast = fixture.router.broadcast(make);
    fixture.update({ state: "pending", replicas: [] });
    expect(fixture.router.stats().queued).toBe(1);
    fixture.update({ state: "available", replicas: ["a", "b"] });
    expect(places(await broadcast.calls)).toEqual(["a", "b"]);
    expect(fixture.router.stats().queued).toBe(0);
  });

  it("fails if the deployment fails, before or after it was made", async () => {
    const early = fixture.router.broadcast(make);
    fixture.update({ state: "failed", message: "no weights" });
    await expect(early.calls).rejects.toBeInstanceOf(DeploymentUnavailableError);
    await expect(fixture.router.broadcast(make).calls).rejects.toBeInstanceOf(DeploymentUnavailableError);
  });

  it("can be abandoned while it waits and after it was sent", async () => {
    const error = new Error("stop");
    const waits = fixture.router.broadcast(make);
    waits.abandon(error);
    await expect(waits.calls).rejects.toBe(error);
    fixture.update({ replicas: ["a", "b"] });
    expect(fixture.replica("a").received).toBe(0);
    const sent = fixture.router.broadcast(make);
    fixture.replica("a").finish();
    sent.abandon(error);
    const calls = (await sent.calls) as RecordedCall[];
    expect(calls.map((call) => call.outcome)).toEqual([{ value: "done" }, { error }]);
    expect(fixture.replica("b").cancelled).toHaveLength(1);
  });

  it("rejects the call of a replica that dies, also if nothing was written: it cannot go elsewhere", async () => {
    fixture.update({ replicas: ["a", "b", "c"] });
    fixture.replica("c").vanish();
    const calls = (await fixture.router.broadcast(make).calls) as RecordedCall[];
    fixture.replica("a").lose(new Error("reset"), () => false);
    fixture.replica("b").finish();
    expect(calls.map((call) => call.error instanceof ReplicaDiedError)).toEqual([true, false, true]);
    expect(calls[0]!.error).toMatchObject({ replicaId: "a" });
  });

  it("leaves out a replica that is draining, and says so of one that turns out to be", async () => {
    fixture.update({ replicas: ["a", "b"] });
    fixture.call();
    fixture.call();
    fixture.replica("a").drain();
    const calls = (await fixture.router.broadcast(make).calls) as RecordedCall[];
    expect(places(calls)).toEqual(["b"]);
    fixture.replica("b").refuse(calls[0], "draining", 0);
    expect(calls[0]!.error).toBeInstanceOf(ReplicaUnavailableError);
  });

  it("connects at once to a replica whose connection was lost", async () => {
    fixture.update({ replicas: ["a", "b"] });
    fixture.replica("a").lose();
    const waits = fixture.call();
    const alsoWaits = fixture.call();
    expect(places(await fixture.router.broadcast(make).calls)).toEqual(["a", "b"]);
    expect([fixture.placeOf(waits), fixture.placeOf(alsoWaits)].sort()).toEqual(["a", "b"]);
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  it("ends with the router", async () => {
    const error = new Error("shut down");
    const waits = fixture.router.broadcast(make);
    fixture.router.close(error);
    await expect(waits.calls).rejects.toBe(error);
    await expect(fixture.router.broadcast(make).calls).rejects.toBe(error);
  });
});
