import { describe, expect, it } from "vitest";
import { ManualPoller } from "../../src/testing/manual-poller.ts";
import { Wire } from "./harness.ts";

const target = {
  echo: (value: unknown) => value,
  *count(to: number) {
    for (let i = 0; i < to; i++) yield i;
  },
  stay: () => new Promise(() => {}),
};

function open() {
  const pollers = { caller: new ManualPoller(), replica: new ManualPoller() };
  const wire = new Wire(target, { pollers });
  const caller = wire.caller();
  /** One after another; those that are spun for come back sooner, so that the connection learns to spin. */
  const learn = async (method = "echo", stream = false): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      const call = caller.send(method, [1], { spinUs: 50, stream });
      wire.clock.advance(pollers.caller.size > 0 ? 0.011 : 0.07);
      await wire.settle();
      expect(call.outcomes).toHaveLength(1);
      pollers.caller.turn();
      pollers.replica.turn();
    }
  };
  return { ...pollers, wire, session: caller, learn };
}

describe("a session with spinUs", () => {
  it("spins on both sides once that is known to pay, and on none when the calls have ended", async () => {
    const { caller, replica, wire, session, learn } = open();
    await learn();
    expect(caller.size).toBe(0);
    const call = session.send("echo", [1], { spinUs: 50 });
    expect(caller.size).toBe(1);
    await wire.settle();
    expect(call.outcome).toEqual({ value: 1 });
    caller.turn();
    expect(caller.size).toBe(0);
    replica.turn();
    expect(replica.size).toBe(1);
    wire.clock.advance(0.051);
    replica.turn();
    expect(replica.size).toBe(0);
  });

  it("does not ask the replica for calls without it", async () => {
    const { caller, replica, wire, session, learn } = open();
    await learn();
    wire.clock.advance(1);
    replica.turn();
    expect(replica.size).toBe(0);
    expect((await session.ask("echo", [2])).outcome).toEqual({ value: 2 });
    expect(caller.size + replica.size).toBe(0);
  });

  it("waits for the first item of a stream, not for its end", async () => {
    const { caller, wire, session, learn } = open();
    await learn("count", true);
    const stream = session.send("count", [1_000], { spinUs: 50, stream: true });
    expect(caller.size).toBe(1);
    await wire.settle();
    expect(stream.values.length).toBe(256);
    caller.turn();
    expect(caller.size).toBe(0);
  });

  it("stops when the connection breaks", async () => {
    const { caller, replica, wire, session, learn } = open();
    await learn();
    session.send("stay", [], { spinUs: 50 });
    await wire.settle();
    caller.turn();
    replica.turn();
    expect([caller.size, replica.size]).toEqual([1, 1]);
    session.links[0]!.break(new Error("gone"));
    await wire.settle();
    expect(session.toldOf("lost")).toHaveLength(1);
    caller.turn();
    replica.turn();
    expect([caller.size, replica.size]).toEqual([0, 0]);
  });

  it("sends a call that cannot be written nowhere, and goes on", async () => {
    const { caller, session, learn } = open();
    await learn();
    expect(() => session.send("echo", [() => {}], { spinUs: 50 })).toThrow(/function/);
    caller.turn();
    expect(caller.size).toBe(0);
    await learn();
  });
});
