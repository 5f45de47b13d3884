import { describe, expect, test } from "vitest";
import { FakeIncomingCall } from "../../testing/fake-incoming-call.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { RequestCancelledError } from "../errors.ts";
import { type Cancellable, deadlineOf, endOf } from "../handle/context.ts";

const nobody = { ongoing: 0, waiting: false, calls: () => [], free() {}, drain() {} };
const identity = { app: "default", deployment: "Model", replicaId: "Model#1", rank: 0, worldSize: 1, codeVersion: "1" };

function begun(): FakeIncomingCall {
  const call = new FakeIncomingCall(nobody, { deadlineMs: 1_000 });
  call.begin({ identity, clock: new ManualClock() });
  return call;
}

function child(): Cancellable & { readonly ends: Error[] } {
  const ends: Error[] = [];
  return { scopeIndex: -1, ends, endWith: (error) => void ends.push(error) };
}

describe("a request", () => {
  test("binds what is done for it while its work goes on, also after it was cancelled", () => {
    const call = begun();
    const made = child();
    call.adopt(made);
    expect([deadlineOf(call), endOf(call), call.isOver]).toEqual([1_000, undefined, false]);
    call.cancelled("changed my mind");
    expect(made.ends).toEqual([expect.any(RequestCancelledError)]);
    expect([deadlineOf(call), endOf(call), call.isOver]).toEqual([1_000, made.ends[0], false]);
    expect(call.signal.aborted).toBe(true);
  });

  test.each([
    ["ended", () => {}],
    ["was cancelled", (call: FakeIncomingCall) => call.cancelled("changed my mind")],
    ["was out of time", (call: FakeIncomingCall) => call.expire()],
  ])("that %s binds nothing when its work is over", (_, end) => {
    const call = begun();
    end(call);
    const endedBy = call.endedBy;
    call.over();
    expect([deadlineOf(call), endOf(call), call.isOver]).toEqual([Infinity, undefined, true]);
    const late = child();
    call.adopt(late);
    call.cancelled("too late");
    call.stop(new Error("too late"));
    expect([late.scopeIndex, late.ends, call.endedBy]).toEqual([-1, [], endedBy]);
  });

  test("leaves alone what it has begun and not waited for", () => {
    const call = begun();
    const made = child();
    call.adopt(made);
    call.over();
    call.cancelled("too late");
    expect(made.ends).toEqual([]);
    call.forget(made);
    expect(made.scopeIndex).toBe(-1);
  });

  test("tells its end once, and at once to whoever asks afterwards", () => {
    const call = begun();
    const told: string[] = [];
    call.onEnd(() => told.push("before"));
    call.over();
    call.onEnd(() => told.push("after"));
    call.over();
    expect(told).toEqual(["before", "after"]);
  });
});
