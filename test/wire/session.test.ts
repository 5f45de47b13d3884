import { describe, expect, test } from "vitest";
import { ProtocolError, RequestTimeoutError, UnknownMethodError } from "../../src/core/errors.ts";
import { CallState } from "../../src/core/handle/call.ts";
import { ByteReader } from "../../src/wire/codec/reader.ts";
import { StructuredFormat } from "../../src/wire/codec/structured.ts";
import { FrameType, HEADER_BYTES } from "../../src/wire/frames.ts";
import { deferred, TestCall, token, Wire } from "./harness.ts";
import { type Link, settle } from "./link.ts";

/** What the replicas of these tests serve. */
class Model {
  readonly open: PromiseWithResolvers<unknown>[] = [];
  produced = 0;
  cleaned = 0;

  echo(...args: unknown[]): unknown {
    return args;
  }

  nothing(): void {}

  fails(): never {
    throw new RangeError("out of range", { cause: new Error("deeper") });
  }

  /** Answers when the test says so. */
  wait(): Promise<unknown> {
    const work = deferred<unknown>();
    this.open.push(work as PromiseWithResolvers<unknown>);
    return work.promise;
  }

  *count(items: number, bytes = 0): Generator<unknown> {
    try {
      for (let i = 0; i < items; i++) {
        this.produced++;
        yield bytes === 0 ? i : new Uint8Array(bytes).fill(i);
      }
    } finally {
      this.cleaned++;
    }
  }

  /** Small and large items in turns. */
  async *mixed(items: number): AsyncGenerator<unknown> {
    for (let i = 0; i < items; i++) yield i % 3 === 0 ? new Uint8Array(100_000).fill(i) : i;
  }

  *breaks(items: number): Generator<unknown> {
    yield* this.count(items);
    throw new Error("after the items");
  }
}

function open(options: ConstructorParameters<typeof Wire>[1] = {}): { wire: Wire; model: Model } {
  const model = new Model();
  return { wire: new Wire(model, options), model };
}

/** Nothing may be left over, whatever happened. */
function expectIdle(wire: Wire): void {
  expect(wire.replica.ongoing).toBe(0);
  expect(wire.deadlines.count).toBe(0);
}

describe("calls", () => {
  test("a result comes back, after the router was told that the place is free", async () => {
    const { wire } = open();
    const caller = wire.caller();
    const call = await caller.ask("echo", ["a", { b: [1, 2n] }, undefined]);
    expect(call.outcomes).toEqual([{ value: ["a", { b: [1, 2n] }, undefined] }]);
    expect(call.state).toBe(CallState.SETTLED);
    expect(caller.told).toEqual([{ what: "finished", call, others: 0, settled: false }]);
    expect(caller.session.ongoing).toBe(0);
    expectIdle(wire);
  });

  test("nothing is undefined, and costs no body", async () => {
    const { wire } = open();
    const caller = wire.caller();
    await caller.ask("nothing");
    const before = caller.links[0]!.far.written;
    const call = await caller.ask("nothing");
    expect(call.outcomes).toEqual([{ value: undefined }]);
    expect(caller.links[0]!.far.written - before).toBe(HEADER_BYTES);
  });

  test("an error comes back with its class, cause and stack", async () => {
    const { wire } = open();
    const { error } = await wire.caller().ask("fails");
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe("out of range");
    expect((error.cause as Error).message).toBe("deeper");
    expectIdle(wire);
  });

  test("a method that there is not is an error that lists those there are", async () => {
    const { wire } = open();
    const { error } = await wire.caller().ask("toString");
    expect(error).toBeInstanceOf(UnknownMethodError);
    expect((error as UnknownMethodError).available).toContain("echo");
    expect((error as UnknownMethodError).available).not.toContain("constructor");
  });

  test("a result that cannot travel is an error of that call alone", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const bad = caller.send("wait");
    const good = caller.send("wait");
    await wire.settle();
    model.open[0]!.resolve({ fn: () => {} });
    model.open[1]!.resolve("fine");
    await wire.settle();
    expect(bad.error).toMatchObject({ code: "SERIALIZATION", path: "result.fn" });
    expect(good.outcomes).toEqual([{ value: "fine" }]);
    expectIdle(wire);
  });

  test("an argument that cannot travel throws from send, and leaves no trace", async () => {
    const { wire } = open();
    const caller = wire.caller();
    expect(() => caller.send("echo", [1, Symbol("x")])).toThrow(expect.objectContaining({ code: "SERIALIZATION" }));
    expect(caller.session.ongoing).toBe(0);
    expect((await caller.ask("echo", [2])).outcomes).toEqual([{ value: [2] }]);
  });

  test("arguments and results over the limit are errors of that call alone", async () => {
    const { wire, model } = open({ limits: { maxMessageBytes: 10_000, maxFrameBytes: 11_000 } });
    const caller = wire.caller();
    expect(() => caller.send("echo", ["x".repeat(20_000)])).toThrow(expect.objectContaining({ code: "SERIALIZATION" }));
    const call = caller.send("wait");
    await wire.settle();
    model.open[0]!.resolve("x".repeat(20_000));
    await wire.settle();
    expect(call.error).toMatchObject({ code: "SERIALIZATION" });
    expect((await caller.ask("echo", [1])).outcomes).toEqual([{ value: [1] }]);
  });

  test("what a call says about itself arrives, and what it does not say is the default", async () => {
    const { wire } = open();
    const caller = wire.caller();
    await caller.ask("nothing");
    await caller.ask("nothing", [], {
      parent: { requestId: "req-ü", route: "/a/b", traceparent: "" },
      modelId: "m1",
      priority: -2.5,
      deadlineMs: wire.clock.now() + 400,
      timeoutMs: 500,
    });
    const [first, second] = wire.scopes;
    expect(first).toMatchObject({
      requestId: `${"07".repeat(6)}-${(12_345).toString(36)}`,
      route: "",
      multiplexedModelId: "",
      priority: 0,
      deadlineMs: Infinity,
      timeoutMs: 0,
    });
    expect(second).toMatchObject({
      requestId: "req-ü",
      route: "/a/b",
      multiplexedModelId: "m1",
      priority: -2.5,
      deadlineMs: wire.clock.now() + 400,
      timeoutMs: 500,
    });
  });

  test("a getter among the arguments may make a call of its own", async () => {
    const { wire } = open();
    const caller = wire.caller();
    let inner: TestCall | undefined;
    const outer = await caller.ask("echo", [
      {
        before: "x".repeat(50),
        get middle() {
          inner = caller.send("echo", ["inner", "y".repeat(10_000)]);
          return 7;
        },
        after: "z".repeat(50),
      },
    ]);
    expect(outer.outcomes).toEqual([{ value: [{ before: "x".repeat(50), middle: 7, after: "z".repeat(50) }] }]);
    expect(inner!.outcomes).toEqual([{ value: ["inner", "y".repeat(10_000)] }]);
    expect(caller.session.ongoing).toBe(0);
    expectIdle(wire);
  });

  test("a getter may make a call, cancel one or hang up although its own call then cannot travel", async () => {
    const { wire } = open();
    const caller = wire.caller();
    const other = caller.send("wait");
    let inner: TestCall | undefined;
    const arg = {
      get first() {
        inner = caller.send("echo", ["inner"]);
        caller.cancel(other);
        return 1;
      },
      second: Symbol("no"),
    };
    expect(() => caller.send("echo", [arg])).toThrow(expect.objectContaining({ code: "SERIALIZATION" }));
    await wire.settle();
    expect(inner!.outcomes).toEqual([{ value: ["inner"] }]);
    expect(wire.scopes[0]!.signal.aborted).toBe(true);
    const last = caller.send("echo", [
      {
        get first() {
          caller.session.close();
          return "x".repeat(10_000);
        },
      },
    ]);
    await wire.settle();
    expect(caller.toldOf("lost")).toMatchObject([{ lost: [{ call: other, written: true }] }]);
    expect(last.outcomes).toEqual([{ value: [{ first: "x".repeat(10_000) }] }]);
  });

  test("a refused call comes back with the arguments that it was made with", async () => {
    const { wire, model } = open({ maxOngoingRequests: 1 });
    const a = wire.caller({ peer: 1 });
    const b = wire.caller({ peer: 2 });
    a.send("wait");
    await wire.settle();
    const list = [1, 2];
    const refused = b.send("echo", [list], { priority: 3, modelId: "m" });
    list.push(3);
    const large = b.send("echo", ["y".repeat(100_000)]);
    await wire.settle();
    expect(b.toldOf("refused").map(({ call }) => call)).toEqual([refused, large]);
    expect(decodeBody(refused)).toEqual([[1, 2]]);
    expect(decodeBody(large)).toEqual(["y".repeat(100_000)]);
    model.open[0]!.resolve(1);
    await wire.settle();
    b.session.send(refused);
    await wire.settle();
    expect(refused.outcomes).toEqual([{ value: [[1, 2]] }]);
  });

  test("thenables are awaited, whatever they do", async () => {
    const odd = {
      late: () => ({ then: (resolve: (value: unknown) => void) => resolve("late") }),
      twice: () => ({
        then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
          resolve("first");
          reject(new Error("second"));
          resolve("third");
        },
      }),
      throwing: () => ({
        then() {
          throw new Error("in then");
        },
      }),
      hidden: () => ({
        get then() {
          throw new Error("in the getter");
        },
      }),
      locked() {
        const stream = new ReadableStream();
        stream.getReader();
        return stream;
      },
      async lockedLater() {
        return this.locked();
      },
    };
    const wire = new Wire(odd);
    const caller = wire.caller();
    expect((await caller.ask("late")).outcomes).toEqual([{ value: "late" }]);
    expect((await caller.ask("twice")).outcomes).toEqual([{ value: "first" }]);
    expect((await caller.ask("throwing")).error.message).toBe("in then");
    expect((await caller.ask("hidden")).error.message).toBe("in the getter");
    expect((await caller.ask("locked")).error.message).toMatch(/lock/);
    expect((await caller.ask("lockedLater")).error.message).toMatch(/lock/);
    expect((await caller.ask("locked", [], { stream: true })).error.message).toMatch(/lock/);
    expect(caller.toldOf("finished")).toHaveLength(7);
    expectIdle(wire);
  });
});

describe("places", () => {
  test("a call over the limit is refused, and its caller told once when a place is free", async () => {
    const { wire, model } = open({ maxOngoingRequests: 1 });
    const a = wire.caller({ peer: 1 });
    const b = wire.caller({ peer: 2 });
    const first = a.send("wait");
    await wire.settle();
    const refused = [b.send("echo", [1]), b.send("echo", [2])];
    await wire.settle();
    expect(b.told).toEqual(refused.map((call) => ({ what: "refused", call, reason: "full", others: 1 })));
    expect(refused.map((call) => call.outcomes)).toEqual([[], []]);
    expect(b.session.ongoing).toBe(0);
    model.open[0]!.resolve("done");
    await wire.settle();
    expect(first.outcomes).toEqual([{ value: "done" }]);
    expect(b.toldOf("free")).toEqual([{ what: "free", others: 0 }]);
    expect((await b.ask("echo", [3])).outcomes).toEqual([{ value: [3] }]);
    expect(b.toldOf("free")).toHaveLength(1);
  });

  test("replies carry what others have running", async () => {
    const { wire, model } = open({ maxOngoingRequests: 9 });
    const a = wire.caller({ peer: 1 });
    const b = wire.caller({ peer: 2 });
    a.send("wait");
    a.send("wait");
    b.send("wait");
    await wire.settle();
    await b.ask("nothing");
    expect(b.toldOf("finished").at(-1)).toMatchObject({ others: 2 });
    await a.ask("fails");
    expect(a.toldOf("finished").at(-1)).toMatchObject({ others: 1 });
    model.open[2]!.resolve(1);
    await wire.settle();
    await a.ask("nothing");
    expect(a.toldOf("finished").at(-1)).toMatchObject({ others: 0 });
  });

  test("a broadcast runs beside the limit", async () => {
    const { wire, model } = open({ maxOngoingRequests: 1 });
    const caller = wire.caller();
    caller.send("wait");
    const broadcast = await caller.ask("echo", ["all"], { broadcast: true });
    expect(broadcast.outcomes).toEqual([{ value: ["all"] }]);
    expect(caller.toldOf("refused")).toEqual([]);
    model.open[0]!.resolve(1);
    await wire.settle();
    expectIdle(wire);
  });

  test("a draining replica says so, refuses, finishes what it has, and is done when its callers have hung up", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const running = caller.send("wait");
    await wire.settle();
    let drained = false;
    void wire.replica.drain().then(() => {
      drained = true;
    });
    const late = caller.send("echo", [1]);
    await wire.settle();
    expect(caller.toldOf("draining")).toHaveLength(1);
    expect(caller.toldOf("refused")).toEqual([{ what: "refused", call: late, reason: "draining", others: 0 }]);
    model.open[0]!.resolve("finished");
    await wire.settle();
    expect(running.outcomes).toEqual([{ value: "finished" }]);
    expect(drained).toBe(false);
    caller.session.close();
    await wire.settle();
    expect(drained).toBe(true);
    expect(wire.acceptor.size).toBe(0);
    expect(caller.toldOf("lost")).toEqual([]);
  });

  test("who connects to a draining replica is told", async () => {
    const { wire } = open();
    void wire.replica.drain();
    const caller = wire.caller();
    await wire.settle();
    expect(caller.told).toEqual([{ what: "draining" }]);
  });
});

describe("cancelling and deadlines", () => {
  test("a cancelled call aborts its signal with the reason, and keeps its place until its work has ended", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    await wire.settle();
    const { signal } = wire.scopes[0]!;
    caller.cancel(call, new Error("no longer needed"));
    await wire.settle();
    expect(signal.aborted).toBe(true);
    // As the platform has it; our own error, with what the caller gave, is behind it.
    expect(signal.reason).toMatchObject({ name: "AbortError", cause: { code: "REQUEST_CANCELLED" } });
    expect((signal.reason as { cause: Error }).cause.cause).toMatchObject({ message: "no longer needed" });
    expect(caller.told).toEqual([]);
    expect(wire.replica.ongoing).toBe(1);
    model.open[0]!.resolve("too late");
    await wire.settle();
    expect(caller.told).toEqual([{ what: "finished", call, others: 0, settled: true }]);
    expect(call.outcomes).toHaveLength(1);
    expectIdle(wire);
  });

  test("a call may be cancelled before any of it has left", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    caller.cancel(call);
    await wire.settle();
    model.open[0]!.resolve(1);
    await wire.settle();
    expect(caller.toldOf("finished")).toHaveLength(1);
    expect(wire.scopes[0]!.signal.aborted).toBe(true);
    expectIdle(wire);
  });

  test("to cancel a call that has ended does nothing", async () => {
    const { wire } = open();
    const caller = wire.caller();
    const call = await caller.ask("echo", [1]);
    const written = caller.links[0]!.near.written;
    caller.session.cancel(call, new Error("late"));
    caller.session.grant(call, 1, 1);
    await wire.settle();
    expect(caller.links[0]!.near.written).toBe(written);
    expect(caller.told).toHaveLength(1);
  });

  test("a deadline that is over on arrival: the method is not run", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = await caller.ask("wait", [], { deadlineMs: wire.clock.now() - 5, timeoutMs: 20 });
    expect(call.error).toBeInstanceOf(RequestTimeoutError);
    expect(call.error).toMatchObject({ timeoutMs: 20, stopped: true });
    expect(model.open).toHaveLength(0);
    expectIdle(wire);
  });

  test("a deadline that passes aborts the signal of the running method", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait", [], { deadlineMs: wire.clock.now() + 50, timeoutMs: 50 });
    await wire.settle();
    const { signal } = wire.scopes[0]!;
    wire.clock.advance(49);
    expect(signal.aborted).toBe(false);
    wire.clock.advance(5);
    expect(signal.reason).toMatchObject({ name: "TimeoutError", cause: { code: "REQUEST_TIMEOUT", timeoutMs: 50 } });
    expect(signal.reason).toBeInstanceOf(DOMException);
    model.open[0]!.reject(signal.reason);
    await wire.settle();
    expect(call.error).toBeInstanceOf(RequestTimeoutError);
    expectIdle(wire);
  });
});

describe("streams", () => {
  test("items arrive in order, then the end", async () => {
    const { wire } = open();
    const call = await wire.caller().ask("count", [5], { stream: true });
    expect(call.values).toEqual([0, 1, 2, 3, 4]);
    expect(call.outcomes).toEqual([{ value: undefined }]);
    expectIdle(wire);
  });

  test("an error behind items arrives behind them", async () => {
    const { wire } = open();
    const call = await wire.caller().ask("breaks", [3], { stream: true });
    expect(call.values).toEqual([0, 1, 2]);
    expect(call.error.message).toBe("after the items");
  });

  test("the producer stops at 256 items and goes on when more are granted", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = await caller.ask("count", [1_000], { stream: true });
    expect(call.values).toHaveLength(256);
    expect(model.produced).toBe(256);
    caller.session.grant(call, 10, 0);
    await wire.settle();
    expect(model.produced).toBe(266);
    caller.session.grant(call, 10_000, 1_000_000);
    await wire.settle();
    expect(call.values).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    expect(call.outcomes).toEqual([{ value: undefined }]);
  });

  test("the producer stops at 1 MiB; the item that reaches it is sent whole", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = await caller.ask("count", [20, 300_000], { stream: true });
    expect(model.produced).toBe(4);
    expect(call.values).toHaveLength(4);
    const sent = call.sizes.reduce((sum, bytes) => sum + bytes, 0);
    expect(sent).toBeGreaterThan(1_048_576);
    caller.session.grant(call, 0, sent - 1_048_576);
    await wire.settle();
    expect(model.produced).toBe(4);
    caller.session.grant(call, 0, 1);
    await wire.settle();
    expect(model.produced).toBe(5);
    caller.cancel(call);
    await wire.settle();
    expect(model.cleaned).toBe(1);
    expectIdle(wire);
  });

  test("a cancelled stream runs the producer's cleanup, also while it waits for credit", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = await caller.ask("count", [1_000], { stream: true });
    caller.cancel(call);
    await wire.settle();
    expect(model.cleaned).toBe(1);
    expect(caller.told).toEqual([{ what: "finished", call, others: 0, settled: true }]);
    expect(call.values).toHaveLength(256);
    expectIdle(wire);
  });

  test("more than 65,536 items keep their order", async () => {
    const { wire } = open();
    const caller = wire.caller();
    const call = await caller.ask("count", [70_000], { stream: true });
    for (let i = 0; i < 10; i++) {
      caller.session.grant(call, 10_000, 1_000_000);
      await wire.settle();
    }
    expect(call.values).toHaveLength(70_000);
    expect(call.values.every((value, i) => value === i)).toBe(true);
    expect(call.outcomes).toEqual([{ value: undefined }]);
  });

  test("a call of a stream without stream, and of no stream with it, says what to do", async () => {
    const { wire } = open();
    const caller = wire.caller();
    expect((await caller.ask("count", [3])).error).toMatchObject({ code: "STREAM_MISMATCH", method: "count" });
    expect((await caller.ask("echo", [3], { stream: true })).error).toMatchObject({
      code: "STREAM_MISMATCH",
      method: "echo",
    });
    expectIdle(wire);
  });
});

describe("lanes", () => {
  const large = "x".repeat(100_000);
  const itemOf = (value: unknown): string =>
    value instanceof Uint8Array ? `${value.byteLength}:${value[0]}` : String(value);
  const expected = (items: number): string[] =>
    Array.from({ length: items }, (_, i) => (i % 3 === 0 ? `100000:${i}` : String(i)));

  test("a large argument opens the bulk lane, once, and travels on it", async () => {
    const { wire } = open();
    const caller = wire.caller();
    expect((await caller.ask("echo", [1])).outcomes).toEqual([{ value: [1] }]);
    expect(caller.links).toHaveLength(1);
    const small = caller.links[0]!.near.written;
    expect((await caller.ask("echo", [large])).outcomes).toEqual([{ value: [large] }]);
    await caller.ask("echo", [large]);
    expect(caller.links).toHaveLength(2);
    expect(caller.links[0]!.near.written).toBe(small);
    expect(caller.links[1]!.near.written).toBeGreaterThan(200_000);
    expect(wire.acceptor.size).toBe(1);
  });

  test("a large result opens the bulk lane for those that follow", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    for (let i = 0; i < 2; i++) {
      const call = caller.send("wait");
      await wire.settle();
      model.open[i]!.resolve(large);
      await wire.settle();
      expect(call.outcomes).toEqual([{ value: large }]);
    }
    expect(caller.links).toHaveLength(2);
    expect(caller.links[1]!.far.written).toBeGreaterThan(100_000);
  });

  /** Moves only some links; what moves on the others is held up. */
  async function settleOnly(wire: Wire, links: readonly Link[]): Promise<void> {
    await settle(
      () => links,
      () => wire.clock.turn(),
    );
  }

  test.each([
    ["the small lane is ahead", 0],
    ["the bulk lane is ahead", 1],
  ])("items are put in order when %s", async (_, ahead) => {
    const { wire } = open();
    const caller = wire.caller();
    await caller.ask("echo", [large]);
    const call = caller.send("mixed", [20], { stream: true });
    for (let i = 0; i < 10; i++) {
      caller.links[0]!.near.endTurn();
      caller.links[0]!.near.deliver();
      await new Promise(setImmediate);
      for (const link of caller.links) link.far.endTurn();
    }
    await settleOnly(wire, [caller.links[ahead]!]);
    expect(call.outcomes).toEqual([]);
    const early = call.values.map(itemOf);
    expect(early).toEqual(expected(20).slice(0, early.length));
    await wire.settle();
    expect(call.values.map(itemOf)).toEqual(expected(20).slice(0, call.values.length));
    caller.session.grant(call, 100, 10_000_000);
    await wire.settle();
    expect(call.values.map(itemOf)).toEqual(expected(20));
    expect(call.outcomes).toEqual([{ value: undefined }]);
    expect(caller.session.ongoing).toBe(0);
  });

  /** A stream of two items of which the large one is held up, while its end has arrived. */
  async function endFirst(): Promise<{ wire: Wire; caller: ReturnType<Wire["caller"]>; call: TestCall }> {
    const wire = new Wire({
      *two() {
        yield "small";
        yield new Uint8Array(100_000);
      },
      *broken() {
        yield "small";
        yield new Uint8Array(100_000);
        throw new Error("after two");
      },
      echo: (...args: unknown[]) => args,
    });
    const caller = wire.caller();
    await caller.ask("echo", [large]);
    return { wire, caller, call: new TestCall("two", [], { stream: true }) };
  }

  test.each(["two", "broken"])("the end (%s) waits for the items before it", async (method) => {
    const { wire, caller } = await endFirst();
    const call = caller.send(method, [], { stream: true });
    await settleOnly(wire, [caller.links[0]!]);
    expect(call.values).toEqual(["small"]);
    expect(call.outcomes).toEqual([]);
    expect(caller.session.ongoing).toBe(1);
    await wire.settle();
    expect(call.values).toEqual(["small", new Uint8Array(100_000)]);
    if (method === "two") expect(call.outcomes).toEqual([{ value: undefined }]);
    else expect(call.error.message).toBe("after two");
    expect(caller.session.ongoing).toBe(0);
  });

  test("a stream that is cancelled while its end waits for an item still ends", async () => {
    const { wire, caller } = await endFirst();
    const call = caller.send("two", [], { stream: true });
    await settleOnly(wire, [caller.links[0]!]);
    caller.cancel(call);
    await wire.settle();
    expect(caller.session.ongoing).toBe(0);
    expect(caller.toldOf("finished").at(-1)).toEqual({ what: "finished", call, others: 0, settled: true });
    expect(call.values).toEqual(["small"]);
    expectIdle(wire);
  });

  test("a call on the bulk lane is cancelled and granted on it", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("count", [1_000, 0, large], { stream: true });
    await wire.settle();
    expect(call.values).toHaveLength(256);
    const small = caller.links[0]!.near.written;
    caller.session.grant(call, 4, 0);
    await wire.settle();
    expect(call.values).toHaveLength(260);
    caller.cancel(call);
    await wire.settle();
    expect(model.cleaned).toBe(1);
    expect(caller.links[0]!.near.written).toBe(small);
    expectIdle(wire);
  });

  test("a call that arrives on one lane after the end of the other is not run", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    await caller.ask("echo", [large]);
    caller.send("wait", [large]);
    const [small, bulk] = caller.links;
    bulk!.near.endTurn();
    small!.break(new Error("reset"));
    small!.far.finish();
    expect(bulk!.near.deliver()).toBeGreaterThan(100_000);
    await wire.settle();
    expect(model.open).toHaveLength(0);
    expectIdle(wire);
  });

  test("the end of either lane is the end of the connection", async () => {
    for (const broken of [0, 1]) {
      const { wire } = open();
      const caller = wire.caller();
      await caller.ask("echo", [large]);
      const call = caller.send("wait");
      await wire.settle();
      const error = new Error("reset");
      caller.links[broken]!.break(error);
      await wire.settle();
      expect(caller.toldOf("lost")).toEqual([{ what: "lost", error, lost: [{ call, written: true }] }]);
      expect(caller.links.every((link) => link.near.closed && link.far.closed)).toBe(true);
      expect(wire.acceptor.size).toBe(0);
      expect(caller.session.send(new TestCall("echo", []))).toBe(false);
    }
  });
});

describe("connections that end", () => {
  test("what was written may have run; what waited for the connection has not", async () => {
    const { wire } = open();
    const never = wire.caller({ link: { connected: false } });
    const unwritten = never.send("echo", [1]);
    await wire.settle();
    const refused = new Error("ECONNREFUSED");
    never.links[0]!.break(refused);
    await wire.settle();
    expect(never.told).toEqual([{ what: "lost", error: refused, lost: [{ call: unwritten, written: false }] }]);
    expect(unwritten.outcomes).toEqual([]);
    expect(wire.scopes).toHaveLength(0);
  });

  test("a call that was encoded but not flushed counts as not written, one behind a kept write likewise", async () => {
    let keeps = false;
    const { wire } = open({ link: { keeps: () => keeps } });
    const caller = wire.caller();
    await caller.ask("echo", [0]);
    keeps = true;
    const kept = caller.send("wait", [1]);
    caller.links[0]!.near.endTurn();
    const behind = caller.send("wait", [2]);
    caller.links[0]!.near.endTurn();
    const unflushed = caller.send("wait", [3]);
    caller.links[0]!.break(new Error("gone"));
    await wire.settle();
    expect(caller.toldOf("lost")[0]!.lost).toEqual([
      { call: kept, written: true },
      { call: behind, written: false },
      { call: unflushed, written: false },
    ]);
    // They can go elsewhere as they were made.
    expect([kept.body, decodeBody(behind), decodeBody(unflushed)]).toEqual([undefined, [2], [3]]);
  });

  test("a connection that comes late carries what waited for it", async () => {
    const { wire } = open();
    const caller = wire.caller({ link: { connected: false } });
    const calls = [caller.send("echo", [1]), caller.send("echo", [2])];
    await wire.settle();
    expect(calls.map((call) => call.outcomes)).toEqual([[], []]);
    caller.links[0]!.connect();
    await wire.settle();
    expect(calls.map((call) => call.outcomes)).toEqual([[{ value: [1] }], [{ value: [2] }]]);
  });

  test("a caller that is gone has its calls cancelled, and nothing is sent to it", async () => {
    const { wire, model } = open({ maxOngoingRequests: 2 });
    const a = wire.caller({ peer: 1 });
    const b = wire.caller({ peer: 2 });
    a.send("wait");
    a.send("count", [1_000], { stream: true });
    await wire.settle();
    const refused = b.send("echo", [1]);
    await wire.settle();
    expect(b.toldOf("refused").map(({ call }) => call)).toEqual([refused]);
    a.links[0]!.break(undefined);
    await wire.settle();
    expect(wire.scopes[0]!.signal.aborted).toBe(true);
    expect(model.cleaned).toBe(1);
    expect(b.toldOf("free")).toHaveLength(1);
    expect(wire.acceptor.size).toBe(1);
    expect(wire.replica.ongoing).toBe(1);
    model.open[0]!.resolve("for nobody");
    await wire.settle();
    expectIdle(wire);
    expect(a.toldOf("lost")[0]!.lost).toHaveLength(2);
  });

  test("a session that is closed reports what is still open, and takes nothing more", async () => {
    const { wire } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    await wire.settle();
    caller.session.close();
    caller.session.close();
    expect(caller.session.send(new TestCall("echo", []))).toBe(false);
    await wire.settle();
    expect(caller.toldOf("lost")).toMatchObject([{ lost: [{ call, written: true }] }]);
    expect(caller.session.ongoing).toBe(0);
  });

  test("close hands over what waits behind a kept write", async () => {
    let keeps = false;
    const { wire, model } = open({ link: { keeps: () => keeps } });
    const caller = wire.caller();
    caller.send("wait");
    caller.send("wait");
    await wire.settle();
    keeps = true;
    const [first, second] = model.open;
    first!.resolve("x".repeat(50_000));
    await new Promise(setImmediate);
    second!.resolve("y");
    await new Promise(setImmediate);
    caller.links[0]!.far.endTurn();
    wire.acceptor.close();
    await wire.settle();
    expect(caller.toldOf("finished").map(({ call }) => (call as TestCall).outcomes)).toEqual([
      [{ value: "x".repeat(50_000) }],
      [{ value: "y" }],
    ]);
    expect(caller.toldOf("lost")).toHaveLength(1);
    expect(caller.toldOf("lost")[0]!.lost).toEqual([]);
  });

  test("a process that connects anew, before its old connection is known to be dead, starts afresh", async () => {
    const { wire, model } = open();
    const large = "x".repeat(100_000);
    const before = wire.caller();
    const old = before.send("wait");
    await wire.settle();
    const after = wire.caller();
    const calls = [after.send("echo", ["again"]), after.send("echo", [large])];
    // The bulk lane of the old connection comes last of all.
    before.send("echo", [large]);
    await wire.settle();
    expect(calls.map((call) => call.outcomes)).toEqual([[{ value: ["again"] }], [{ value: [large] }]]);
    expect(wire.acceptor.size).toBe(2);
    before.links[0]!.break(undefined);
    await wire.settle();
    expect(before.toldOf("lost")).toMatchObject([{ lost: [{ call: old }] }]);
    expect(after.toldOf("lost")).toEqual([]);
    expect(wire.scopes[0]!.signal.aborted).toBe(true);
    expect(wire.acceptor.size).toBe(1);
    expect((await after.ask("echo", [1])).outcomes).toEqual([{ value: [1] }]);
    model.open[0]!.resolve(1);
    await wire.settle();
    expectIdle(wire);
  });
});

describe("call ids", () => {
  test("an index is used again under another id, and a late frame for the old one is ignored", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const first = await caller.ask("echo", [1]);
    const oldId = first.wireId;
    const second = caller.send("wait");
    await wire.settle();
    expect(second.wireId).not.toBe(oldId);
    expect(second.wireId & 0xfffff).toBe(oldId & 0xfffff);
    const { far } = caller.links[0]!;
    for (const type of [FrameType.RESULT, FrameType.ERROR, FrameType.END, FrameType.ITEM, FrameType.REFUSE]) {
      far.write(frame(type, { id: oldId, body: new Uint8Array(8) }));
    }
    await wire.settle();
    expect(second.outcomes).toEqual([]);
    expect(first.outcomes).toHaveLength(1);
    expect(caller.told).toHaveLength(1);
    model.open[0]!.resolve("still mine");
    await wire.settle();
    expect(second.outcomes).toEqual([{ value: "still mine" }]);
  });
});

describe("peers that break the protocol", () => {
  const preamble = (lane = 0): Uint8Array => {
    const bytes = new Uint8Array(56);
    bytes.set([0x48, 0x45, 0x4c, 0x49, 1, 0, lane, 0]);
    bytes.fill(0x55, 8, 24);
    bytes.set(token, 24);
    return bytes;
  };
  const method = frame(FrameType.METHOD, { aux: 0, body: new TextEncoder().encode("wait") });
  /** A CALL without fields, whose arguments are an empty array. */
  const noArgs = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0);

  test.each<[string, Uint8Array[]]>([
    ["an unknown type", [frame(99, {})]],
    ["type 0", [frame(0, {})]],
    ["a frame that only replicas send", [frame(FrameType.RESULT, { id: 1 })]],
    ["a control message", [frame(FrameType.CONTROL, {})]],
    ["a method that was not announced", [frame(FrameType.CALL, { aux: 3, body: noArgs })]],
    ["a call without its number", [method, frame(FrameType.CALL, { body: new Uint8Array(3) })]],
    [
      "fields that are cut short",
      [method, frame(FrameType.CALL, { flags: 2, body: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 200, 0, 1, 0, 9) })],
    ],
    [
      "fields longer than their block",
      [
        method,
        frame(FrameType.CALL, { flags: 2, body: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 200, 0, 1, 1) }),
      ],
    ],
    [
      "a time left that is no number",
      [
        method,
        frame(FrameType.CALL, {
          flags: 2,
          body: Uint8Array.of(
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            24,
            0,
            8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0xf8,
            0x7f,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
          ),
        }),
      ],
    ],
    [
      "a priority that is no number",
      [
        method,
        frame(FrameType.CALL, {
          flags: 2,
          body: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0, 0, 0, 0),
        }),
      ],
    ],
    ["a credit without its bytes", [frame(FrameType.CREDIT, { aux: 1 })]],
    ["a frame over the limit", [Uint8Array.of(255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0)]],
  ])("%s ends that connection, and harms no other", async (_, frames) => {
    const { wire, model } = open();
    const other = wire.caller({ peer: 9 });
    const call = other.send("wait");
    await wire.settle();
    const link = wire.raw();
    let told: { error: Error | undefined } | undefined;
    link.near.start({
      target: undefined,
      onTarget() {},
      onBytes() {},
      onWritable() {},
      onClosed: (error) => (told = { error }),
    });
    const destroyed = watchDestroy(link);
    link.near.write(preamble());
    for (const bytes of frames) link.near.write(bytes);
    await wire.settle();
    expect(destroyed).toEqual([expect.any(ProtocolError)]);
    expect(told).toBeDefined();
    expect(wire.acceptor.size).toBe(1);
    model.open[0]!.resolve("unharmed");
    await wire.settle();
    expect(call.outcomes).toEqual([{ value: "unharmed" }]);
    expectIdle(wire);
  });

  test("an id whose place is in use ends the connection, and cancels the call that had it", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    await wire.settle();
    const destroyed = watchDestroy(caller.links[0]!);
    // Another generation of the same index, as its owner would choose only when it is free.
    caller.links[0]!.near.write(frame(FrameType.CALL, { id: call.wireId + (1 << 20), body: noArgs }));
    await wire.settle();
    expect(destroyed).toEqual([expect.any(ProtocolError)]);
    expect(caller.toldOf("lost")).toMatchObject([{ lost: [{ call, written: true }] }]);
    model.open[0]!.resolve(1);
    await wire.settle();
    expectIdle(wire);
  });

  test("a call beyond the number that a connection may have open ends it", async () => {
    const { wire } = open({ limits: { maxConcurrentCalls: 2 } });
    const caller = wire.caller();
    const destroyed = watchDestroy(caller.links[0]!);
    caller.send("wait");
    caller.send("wait");
    await wire.settle();
    expect(destroyed).toEqual([]);
    caller.send("wait");
    await wire.settle();
    expect(destroyed).toEqual([expect.any(ProtocolError)]);
  });

  test.each<[string, Uint8Array]>([
    ["an unknown type", frame(77, {})],
    ["a frame that only callers send", frame(FrameType.CALL, {})],
    ["an end without its number", frame(FrameType.END, { id: 0, body: Uint8Array.of(1) })],
  ])("a replica that sends %s is hung up on, and its calls are lost", async (_, bytes) => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    await wire.settle();
    caller.links[0]!.far.write(bytes);
    await wire.settle();
    expect(caller.toldOf("lost")).toEqual([
      { what: "lost", error: expect.any(ProtocolError), lost: [{ call, written: true }] },
    ]);
    expect(wire.acceptor.size).toBe(0);
    model.open[0]!.resolve(1);
    await wire.settle();
    expectIdle(wire);
  });

  test.each<[string, Uint8Array]>([
    ["a result that is no value", frame(FrameType.RESULT, { id: 0, body: Uint8Array.of(255, 255, 255) })],
    [
      "a result in a format that there is not",
      frame(FrameType.RESULT, { id: 0, flags: 3 << 4, body: Uint8Array.of(1) }),
    ],
    ["an item that is no value", frame(FrameType.ITEM, { id: 0, body: Uint8Array.of(255, 255, 255) })],
    ["an error that is no value", frame(FrameType.ERROR, { id: 0, body: Uint8Array.of(255, 255, 255) })],
    ["the answer of an exchange", frame(FrameType.RESULT, { id: 0, flags: 1, body: new Uint8Array(6) })],
  ])("%s fails its call and nothing else", async (_, bytes) => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait", [], { stream: bytes[4] === FrameType.ITEM });
    const neighbour = caller.send("wait");
    await wire.settle();
    caller.links[0]!.far.write(bytes);
    await wire.settle();
    expect(call.error).toMatchObject({ code: "SERIALIZATION" });
    expect(call.error.message).toContain("Model.wait cannot be read here");
    expect(caller.toldOf("lost")).toEqual([]);
    for (const work of model.open) work.resolve("unharmed");
    await wire.settle();
    expect(neighbour.outcomes).toEqual([{ value: "unharmed" }]);
    expectIdle(wire);
  });

  test("a reason that is no value cancels its call all the same, and nothing else", async () => {
    const { wire, model } = open();
    const caller = wire.caller();
    const call = caller.send("wait");
    const neighbour = caller.send("wait");
    await wire.settle();
    const signals = wire.scopes.map((scope) => scope!.signal);
    caller.links[0]!.near.write(frame(FrameType.CANCEL, { id: call.wireId, flags: 1, body: Uint8Array.of(255, 255) }));
    await wire.settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    for (const work of model.open) work.resolve("unharmed");
    await wire.settle();
    expect(neighbour.outcomes).toEqual([{ value: "unharmed" }]);
    expect(caller.toldOf("lost")).toEqual([]);
  });

  test("arguments that are no value fail their call, not the connection", async () => {
    const { wire } = open();
    const link = wire.raw();
    const received: number[] = [];
    link.near.start({
      target: undefined,
      onTarget() {},
      onBytes: (bytes, start) => received.push(bytes[start + 4]!),
      onWritable() {},
      onClosed() {},
    });
    link.near.write(preamble());
    link.near.write(method);
    link.near.write(frame(FrameType.CALL, { id: 5, body: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 255, 255) }));
    await wire.settle();
    expect(received).toEqual([FrameType.ERROR]);
    expect(wire.acceptor.size).toBe(1);
    expectIdle(wire);
  });
});

function frame(type: number, fields: { flags?: number; aux?: number; id?: number; body?: Uint8Array }): Uint8Array {
  const body = fields.body ?? new Uint8Array(0);
  const bytes = new Uint8Array(HEADER_BYTES + body.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.byteLength, true);
  view.setUint8(4, type);
  view.setUint8(5, fields.flags ?? 0);
  view.setUint16(6, fields.aux ?? 0, true);
  view.setUint32(8, fields.id ?? 0, true);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

function decodeBody(call: TestCall): unknown {
  const { bytes, start, end } = call.body!;
  return new StructuredFormat().decodeArgs(new ByteReader(bytes, start, end));
}

/** The errors with which the replica's end is destroyed. */
function watchDestroy(link: Link): Error[] {
  const errors: Error[] = [];
  const { far } = link;
  const destroy = far.destroy.bind(far);
  far.destroy = (error) => {
    errors.push(error);
    destroy(error);
  };
  return errors;
}
