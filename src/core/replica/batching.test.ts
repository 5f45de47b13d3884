import { AsyncLocalStorage } from "node:async_hooks";
import { beforeEach, describe, expect, test } from "vitest";
import { TestWorkplace } from "../../../test/support/workplace.ts";
import { ConfigError, HeliostatError, RequestCancelledError } from "../errors.ts";
import { deadlineOf, endOf } from "../handle/context.ts";
import { makeBatch } from "./batching.ts";
import type { Batch, BatchOptions } from "./batch-types.ts";
import type { SharedScope } from "./shared-scope.ts";

let place: TestWorkplace;
let batch: Batch;
beforeEach(() => {
  place = new TestWorkplace();
  batch = makeBatch(place);
});

/** A batched function that doubles, and the batches it got. */
function doubling(options: BatchOptions<number> = {}) {
  const batches: number[][] = [];
  const double = batch(async (items: number[]) => {
    batches.push([...items]);
    return items.map((n) => n * 2);
  }, options);
  return { batches, double };
}

/** A batched function whose batches end when a test says so. */
function gated(options: BatchOptions<string> = {}) {
  const running: { items: string[]; finish(): void; fail(error: unknown): void }[] = [];
  const call = batch((items: string[]) => {
    const outcome = Promise.withResolvers<string[]>();
    running.push({ items, finish: () => outcome.resolve(items.map((item) => `${item}!`)), fail: outcome.reject });
    return outcome.promise;
  }, options);
  return { running, call };
}

describe("options (M1)", () => {
  test.each([
    [{ maxBatchSize: 0 }, "maxBatchSize"],
    [{ maxBatchSize: 1.5 }, "maxBatchSize"],
    [{ maxBatchSize: "10" }, "maxBatchSize"],
    [{ maxBatchSize: 0, batchSizeOf: () => 1 }, "maxBatchSize"],
    [{ batchWaitTimeoutMs: -1 }, "batchWaitTimeoutMs"],
    [{ batchWaitTimeoutMs: Number.NaN }, "batchWaitTimeoutMs"],
    [{ batchWaitTimeoutMs: Infinity }, "batchWaitTimeoutMs"],
    [{ batchWaitTimeoutMs: "later" }, "batchWaitTimeoutMs"],
    [{ maxConcurrentBatches: 0 }, "maxConcurrentBatches"],
    [{ batchSizeOf: 3 }, "batchSizeOf"],
    [{ maxBatchSise: 3 }, "maxBatchSise"],
  ])("refuses %j where it is written", (options, path) => {
    expect.assertions(2);
    try {
      doubling(options as BatchOptions<number>);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path });
    }
  });

  test("refuses a handler that is no function", () => {
    expect(() => batch("double" as never)).toThrow(ConfigError);
  });

  test("by default ten items make a batch, and fewer wait 10 ms", async () => {
    const { batches, double } = doubling();
    const results = Promise.all(Array.from({ length: 12 }, (_, n) => double(n)));
    expect(batches).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
    await place.pass(9.9);
    expect(batches).toHaveLength(1);
    await place.pass(0.1);
    expect(batches[1]).toEqual([10, 11]);
    expect(await results).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]);
  });

  test("the setters check what they get", () => {
    const { double } = doubling();
    expect(() => double.setMaxBatchSize(0)).toThrow(ConfigError);
    expect(() => double.setBatchWaitTimeoutMs(-1)).toThrow(ConfigError);
  });
});

describe("waiting (M2)", () => {
  test("counts from the first item", async () => {
    const { batches, double } = doubling({ batchWaitTimeoutMs: 10 });
    void double(1);
    await place.pass(6);
    void double(2);
    await place.pass(3.9);
    expect(batches).toEqual([]);
    await place.pass(0.1);
    expect(batches).toEqual([[1, 2]]);
  });

  test("a full batch goes at once, and leaves no timer", () => {
    const { batches, double } = doubling({ maxBatchSize: 2 });
    void double(1);
    expect(place.clock.pendingTimers).toBe(1);
    void double(2);
    expect(batches).toEqual([[1, 2]]);
    expect(place.clock.pendingTimers).toBe(0);
  });

  test("without a wait it takes what comes in the same turn", async () => {
    const { batches, double } = doubling({ batchWaitTimeoutMs: 0 });
    void double(1);
    void double(2);
    expect(batches).toEqual([]);
    await place.settle();
    expect(batches).toEqual([[1, 2]]);
  });

  test("a batch keeps the settings it began with", async () => {
    const { batches, double } = doubling({ maxBatchSize: 3, batchWaitTimeoutMs: 10 });
    void double(1);
    double.setMaxBatchSize(1);
    double.setBatchWaitTimeoutMs(1_000);
    void double(2);
    await place.pass(10);
    expect(batches).toEqual([[1, 2]]);
    void double(3);
    await place.settle();
    expect(batches).toEqual([[1, 2], [3]]);
    double.setMaxBatchSize(2);
    void double(4);
    await place.pass(999);
    expect(batches).toHaveLength(2);
    await place.pass(1);
    expect(batches).toEqual([[1, 2], [3], [4]]);
  });

  test("a batch whose wait is over goes on filling until it can run", async () => {
    const { running, call } = gated({ maxBatchSize: 3, batchWaitTimeoutMs: 5 });
    void call("a");
    await place.pass(5);
    void call("b");
    await place.pass(5);
    void call("c");
    expect(running).toHaveLength(1);
    running[0]!.finish();
    await place.settle();
    expect(running[1]!.items).toEqual(["b", "c"]);
  });

  test("as many batches run at a time as may", async () => {
    const { running, call } = gated({ maxBatchSize: 1, maxConcurrentBatches: 2 });
    for (const item of ["a", "b", "c", "d"]) void call(item);
    expect(running.map(({ items }) => items)).toEqual([["a"], ["b"]]);
    running[1]!.finish();
    await place.settle();
    expect(running.map(({ items }) => items)).toEqual([["a"], ["b"], ["c"]]);
  });
});

describe("results (M3)", () => {
  test.each([
    [async (items: number[]) => items.slice(1), "an array of 1"],
    [async (items: number[]) => [...items, 0], "an array of 3"],
    [async () => "ab" as unknown as number[], "string"],
    [(() => null) as unknown as () => Promise<number[]>, "null"],
  ])("as many as there were items: otherwise everybody gets an error with both numbers", async (handler, given) => {
    const call = batch(handler, { maxBatchSize: 2 });
    const outcomes = await Promise.allSettled([call(1), call(2)]);
    for (const outcome of outcomes) {
      const { reason } = outcome as PromiseRejectedResult;
      expect(reason).toBeInstanceOf(HeliostatError);
      expect(String(reason)).toContain("got 2 items");
      expect(String(reason)).toContain(given);
    }
  });

  test("an error in a place goes to that caller alone", async () => {
    const call = batch(async (items: number[]) => items.map((n) => (n === 2 ? new RangeError("two") : n)), {
      maxBatchSize: 3,
    });
    expect(await Promise.allSettled([call(1), call(2), call(3)])).toEqual([
      { status: "fulfilled", value: 1 },
      { status: "rejected", reason: new RangeError("two") },
      { status: "fulfilled", value: 3 },
    ]);
  });

  test.each([
    ["rejects with", async () => Promise.reject(new TypeError("no"))],
    [
      "throws",
      () => {
        throw new TypeError("no");
      },
    ],
  ])("what the handler %s goes to everybody as it is", async (_how, handler: () => Promise<never>) => {
    const call = batch(handler, { maxBatchSize: 2 });
    const [first, second] = (await Promise.allSettled([call(1), call(2)])) as PromiseRejectedResult[];
    expect(first!.reason).toBeInstanceOf(TypeError);
    expect(second!.reason).toBe(first!.reason);
  });

  test("a handler that empties its array mixes nothing up", async () => {
    const call = batch(async (items: number[]) => items.splice(0).map((n) => n + 1), { maxBatchSize: 2 });
    expect(await Promise.all([call(1), call(2)])).toEqual([2, 3]);
  });
});

describe("cancellation (M3)", () => {
  test("a caller leaves a waiting batch at once; the others stay", async () => {
    const { batches, double } = doubling({ maxBatchSize: 3 });
    const replica = place.replica();
    const [one, two] = [replica.request(), replica.request()];
    const left = one.run(() => double(1));
    const stayed = two.run(() => double(2));
    one.cancel();
    await expect(left).rejects.toThrow(RequestCancelledError);
    await place.pass(10);
    expect(batches).toEqual([[2]]);
    expect(await stayed).toBe(4);
  });

  test("a place that was left is free for another", async () => {
    const { batches, double } = doubling({ maxBatchSize: 2 });
    const request = place.replica().request();
    request.run(() => double(1)).catch(() => {});
    request.cancel();
    const replica = place.replica();
    void replica.request().run(() => double(2));
    expect(batches).toEqual([]);
    void replica.request().run(() => double(3));
    expect(batches).toEqual([[2, 3]]);
  });

  test("a batch that nobody waits for is not run, and leaves no timer", async () => {
    const { batches, double } = doubling();
    const request = place.replica().request();
    const left = request.run(() => double(1));
    request.cancel();
    await expect(left).rejects.toThrow(RequestCancelledError);
    expect(place.clock.pendingTimers).toBe(0);
    await place.pass(100);
    expect(batches).toEqual([]);
  });

  test("nor is one that was due and waited for a place", async () => {
    const { running, call } = gated({ maxBatchSize: 1 });
    const replica = place.replica();
    void replica.request().run(() => call("a"));
    const request = replica.request();
    request.run(() => call("b")).catch(() => {});
    void replica.request().run(() => call("c"));
    request.cancel();
    running[0]!.finish();
    await place.settle();
    expect(running.map(({ items }) => items)).toEqual([["a"], ["c"]]);
  });

  test("a call of a request that was cancelled before is not taken", async () => {
    const { batches, double } = doubling({ maxBatchSize: 1 });
    const request = place.replica().request();
    request.cancel();
    await expect(request.run(() => double(1))).rejects.toThrow(RequestCancelledError);
    expect(batches).toEqual([]);
  });

  test("running work goes on for those who wait; its signal aborts when nobody does", async () => {
    const signals: AbortSignal[] = [];
    const outcome = Promise.withResolvers<string[]>();
    const call = batch(
      (_items: string[]) => {
        signals.push(place.contexts.get()!.signal);
        return outcome.promise;
      },
      { maxBatchSize: 2 },
    );
    const replica = place.replica();
    const [one, two] = [replica.request(), replica.request()];
    const results = Promise.allSettled([one.run(() => call("a")), two.run(() => call("b"))]);
    one.cancel();
    expect(signals[0]!.aborted).toBe(false);
    two.cancel("no more");
    expect(signals[0]!.aborted).toBe(true);
    expect(signals[0]!.reason).toMatchObject({
      name: "AbortError",
      cause: { name: "RequestCancelledError", cause: "no more" },
    });
    outcome.resolve(["a", "b"]);
    for (const { status } of await results) expect(status).toBe("rejected");
  });

  test("calls made in the handler end with it", async () => {
    const ended: Error[] = [];
    const call = batch(
      () => {
        place.contexts.get()!.adopt({ scopeIndex: -1, endWith: (error) => void ended.push(error) });
        return new Promise<never>(() => {});
      },
      { maxBatchSize: 1 },
    );
    const request = place.replica().request();
    request.run(() => call(1)).catch(() => {});
    request.cancel();
    expect(ended).toEqual([expect.any(RequestCancelledError)]);
  });
});

describe("sizes (M4)", () => {
  const byLength: BatchOptions<string> = { maxBatchSize: 10, batchSizeOf: (items) => items.join("").length };

  test("an item that would bring the sum over the limit waits for the next batch", async () => {
    const { running, call } = gated({ ...byLength, maxConcurrentBatches: 2 });
    void call("aaaa");
    void call("bbbb");
    void call("ccc");
    expect(running.map(({ items }) => items)).toEqual([["aaaa", "bbbb"]]);
    await place.pass(10);
    expect(running.map(({ items }) => items)).toEqual([["aaaa", "bbbb"], ["ccc"]]);
  });

  test("a sum that is just the limit is a full batch", () => {
    const { running, call } = gated(byLength);
    void call("aaaaa");
    void call("bbbbb");
    expect(running).toHaveLength(1);
  });

  test("an item too large alone is an error to its caller, and disturbs nobody", async () => {
    const { running, call } = gated(byLength);
    void call("aaaa");
    await expect(call("b".repeat(11))).rejects.toThrow(/11.*10/);
    expect(running).toEqual([]);
    void call("ccc");
    await place.pass(10);
    expect(running.map(({ items }) => items)).toEqual([["aaaa", "ccc"]]);
  });

  test("an item that leaves gives its size back", async () => {
    const { running, call } = gated(byLength);
    const replica = place.replica();
    const request = replica.request();
    request.run(() => call("aaaaaa")).catch(() => {});
    void replica.request().run(() => call("bb"));
    request.cancel();
    void replica.request().run(() => call("cccccc"));
    await place.pass(10);
    expect(running.map(({ items }) => items)).toEqual([["bb", "cccccc"]]);
  });

  test.each([Number.NaN, -1, "3"])("a size of %j is an error to the caller", async (size) => {
    const { call } = gated({ batchSizeOf: () => size as number });
    await expect(call("a")).rejects.toThrow(/batchSizeOf/);
  });
});

describe("contexts (M6)", () => {
  test("items of one batch have one model, and the handler sees it", async () => {
    const seen: { items: string[]; modelId: string }[] = [];
    const call = batch(
      async (items: string[]) => {
        await Promise.resolve();
        seen.push({ items: [...items], modelId: place.contexts.get()!.multiplexedModelId });
        return items;
      },
      { maxConcurrentBatches: 2 },
    );
    const replica = place.replica();
    for (const [item, modelId] of [
      ["1", "a"],
      ["2", "b"],
      ["3", "a"],
    ] as const)
      void replica.request(modelId).run(() => call(item));
    await place.pass(10);
    expect(seen).toEqual([
      { items: ["1", "3"], modelId: "a" },
      { items: ["2"], modelId: "b" },
    ]);
  });

  test("the handler has the id of the first request, the priority of the most urgent, the deadline of the most patient", async () => {
    const call = batch(async (items: number[]) => items.map(() => place.contexts.get()!), { maxBatchSize: 2 });
    const replica = place.replica();
    const patient = replica.request("", { deadlineMs: 9_000, priority: 1 });
    const urgent = replica.request("", { deadlineMs: 5_000, priority: 7 });
    const [scope] = await Promise.all([patient.run(() => call(1)), urgent.run(() => call(2))]);
    expect(scope).toMatchObject({
      requestId: patient.scope.requestId,
      priority: 7,
      deadlineMs: 9_000,
      identity: replica.identity,
    });
    const [free] = await Promise.all([replica.reside(() => call(1)), urgent.run(() => call(2))]);
    expect(free!.deadlineMs).toBe(Infinity);
  });

  test("the deadline of a request that is over holds for nothing that it has started", async () => {
    const call = batch(async (items: number[]) => items.map(() => place.contexts.get()!), { maxBatchSize: 2 });
    const replica = place.replica();
    const [ended, cancelled] = [replica.request("", { deadlineMs: 1_000 }), replica.request("", { deadlineMs: 2_000 })];
    ended.end();
    cancelled.cancel();
    cancelled.end();
    const [scope] = await Promise.all([ended.run(() => call(1)), cancelled.run(() => call(2))]);
    expect(scope).toMatchObject({ requestId: ended.scope.requestId, deadlineMs: Infinity });
    const waiting = replica.request("", { deadlineMs: 1_000 });
    const running = replica.request("", { deadlineMs: 500 });
    const both = Promise.all([waiting.run(() => call(3)), running.run(() => call(4))]);
    expect((await both)[0]!.deadlineMs).toBe(1_000);
  });

  test("what the handler has started goes on without the deadlines of its callers", async () => {
    const call = batch(async (items: number[]) => items.map(() => place.contexts.get()!), { maxBatchSize: 1 });
    const scope = await place
      .replica()
      .request("", { deadlineMs: 1_000 })
      .run(() => call(1));
    await place.settle();
    expect(scope.isOver).toBe(true);
    const ended: Error[] = [];
    scope.adopt({ scopeIndex: -1, endWith: (error) => void ended.push(error) });
    (scope as SharedScope).stop(new Error("too late"));
    expect([ended, endOf(scope), deadlineOf(scope)]).toEqual([[], undefined, Infinity]);
  });

  test.each([
    ["is full", { maxBatchSize: 2 }],
    ["has waited", { batchWaitTimeoutMs: 10 }],
    ["goes at the end of the turn", { batchWaitTimeoutMs: 0 }],
  ])("a batch that %s runs in none of its callers' stores", async (_, options) => {
    const users = new AsyncLocalStorage<string>();
    const seen = async (items: string[]): Promise<unknown[]> => {
      const first = users.getStore();
      await Promise.resolve();
      return items.map((item) => [item, first, users.getStore()]);
    };
    const call = batch(seen, options);
    const replica = place.replica();
    const inRequest = users.run("a", () => replica.request().run(() => call("a")));
    const inScript = users.run("b", () => replica.reside(() => call("b")));
    await place.pass(10);
    expect(await Promise.all([inRequest, inScript])).toEqual([
      ["a", undefined, undefined],
      ["b", undefined, undefined],
    ]);
  });

  test("outside of requests the handler runs outside of requests", async () => {
    const call = batch(async (items: number[]) => items.map(() => place.contexts.get()), { maxBatchSize: 1 });
    expect(await call(1)).toBeUndefined();
  });

  test("replicas that share a process share no batch", async () => {
    const { running, call } = gated({ maxBatchSize: 2 });
    const [one, two] = [place.replica("Model#1"), place.replica("Model#2")];
    void one.request().run(() => call("a"));
    void two.request().run(() => call("b"));
    expect(running).toEqual([]);
    void two.request().run(() => call("c"));
    void one.request().run(() => call("d"));
    expect(running.map(({ items }) => items)).toEqual([
      ["b", "c"],
      ["a", "d"],
    ]);
  });
});

describe("the warning (M7)", () => {
  test("names the three numbers, when the constructor makes the batch, and once", async () => {
    const replica = place.replica("Model#1", 19);
    const { double } = replica.reside(() => doubling({ maxBatchSize: 5, maxConcurrentBatches: 4 }));
    expect(place.warnings).toEqual([expect.stringMatching(/5\).*4\).*19\)/)]);
    void replica.request().run(() => double(1));
    expect(place.warnings).toHaveLength(1);
  });

  test("comes with the first request, where the batch is made at the top of a module", () => {
    const { double } = doubling({ maxBatchSize: 20 });
    expect(place.warnings).toEqual([]);
    const replica = place.replica("Model#1", 19);
    void replica.request().run(() => double(1));
    void replica.request().run(() => double(2));
    expect(place.warnings).toHaveLength(1);
  });

  test("does not come where batches can fill, outside of replicas, and where sizes are no counts", () => {
    const replica = place.replica("Model#1", 20);
    replica.reside(() => doubling({ maxBatchSize: 5, maxConcurrentBatches: 4 }));
    replica.reside(() => doubling({ maxBatchSize: 4_096, batchSizeOf: () => 1 }));
    void doubling({ maxBatchSize: 1_000 }).double(1);
    expect(place.warnings).toEqual([]);
  });
});

describe("an adaptive wait", () => {
  test("does not wait before it knows that it pays", async () => {
    const { running, call } = gated({ batchWaitTimeoutMs: "adaptive" });
    void call("a");
    await place.settle();
    expect(running).toHaveLength(1);
  });

  test("waits while arrivals are dense and runs are long, and not longer than a run", async () => {
    const { running, call } = gated({ batchWaitTimeoutMs: "adaptive", maxBatchSize: 100, maxConcurrentBatches: 100 });
    void call("warm up");
    await place.pass(100);
    running[0]!.finish();
    await place.settle();
    // One each 4 ms: the average gap soon is far below a run of 100 ms.
    for (let i = 0; i < 40; i++) {
      void call(`item ${i}`);
      await place.pass(4);
    }
    const sizes = running.slice(1).map(({ items }) => items.length);
    expect(Math.max(...sizes)).toBeGreaterThan(15);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(26);
  });

  test("stops waiting when no more come", async () => {
    const { running, call } = gated({ batchWaitTimeoutMs: "adaptive", maxBatchSize: 100, maxConcurrentBatches: 100 });
    void call("warm up");
    await place.pass(1_000);
    running[0]!.finish();
    await place.settle();
    for (let i = 0; i < 60; i++) {
      void call(`item ${i}`);
      await place.pass(1);
    }
    const begun = running.length;
    await place.pass(100);
    expect(running.length).toBe(begun + 1);
    expect(place.clock.pendingTimers).toBe(0);
  });

  test("does not wait for a lone caller", async () => {
    const { running, call } = gated({ batchWaitTimeoutMs: "adaptive" });
    for (let i = 0; i < 10; i++) {
      void call("a");
      await place.settle();
      expect(running).toHaveLength(i + 1);
      await place.pass(20);
      running[i]!.finish();
      await place.pass(1);
    }
  });
});
