import { AsyncLocalStorage } from "node:async_hooks";
import { beforeEach, expect, test } from "vitest";
import { TestWorkplace } from "../../../test/support/workplace.ts";
import { HeliostatError, RequestCancelledError } from "../errors.ts";
import { makeBatch } from "./batching.ts";
import type { Batch } from "./batch-types.ts";

let place: TestWorkplace;
let batch: Batch;
beforeEach(() => {
  place = new TestWorkplace();
  batch = makeBatch(place);
});

async function readAll<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Counts up for each caller; notes how far it has come and how it ended. */
function counting({ steps = Infinity, maxBatchSize }: { steps?: number; maxBatchSize: number }) {
  const seen = { steps: 0, ended: false };
  const count = batch(
    async function* (items: string[]) {
      try {
        for (let i = 0; i < steps; i++) {
          seen.steps++;
          yield items.map((item) => `${item}${i}`);
        }
      } finally {
        seen.ended = true;
      }
    },
    { maxBatchSize },
  );
  return { seen, count };
}

test("each caller reads its own places", async () => {
  const { count } = counting({ steps: 3, maxBatchSize: 2 });
  expect(await Promise.all([readAll(count("a")), readAll(count("b"))])).toEqual([
    ["a0", "a1", "a2"],
    ["b0", "b1", "b2"],
  ]);
});

test("a bound generator is one, too", async () => {
  const handler = async function* (this: { suffix: string }, items: string[]) {
    yield items.map((item) => item + this.suffix);
  };
  const call = batch(handler.bind({ suffix: "!" }), { maxBatchSize: 1 });
  expect(await readAll(call("a"))).toEqual(["a!"]);
});

test("done ends one stream; its later places are ignored, and the others go on", async () => {
  const call = batch(
    async function* () {
      yield [1, 2, 3];
      yield [10, batch.done, 30];
      yield [100, 200, 300];
    },
    { maxBatchSize: 3 },
  );
  expect(await Promise.all([readAll(call("a")), readAll(call("b")), readAll(call("c"))])).toEqual([
    [1, 10, 100],
    [2],
    [3, 30, 300],
  ]);
});

test("an error in a place ends that stream alone, after the items before it", async () => {
  const call = batch(
    async function* () {
      yield [1, 2];
      yield [new RangeError("first"), 20];
      yield [100, 200];
    },
    { maxBatchSize: 2 },
  );
  const first = call("a");
  const others = readAll(call("b"));
  expect(await first.next()).toEqual({ value: 1, done: false });
  await expect(first.next()).rejects.toThrow(new RangeError("first"));
  expect(await first.next()).toEqual({ value: undefined, done: true });
  expect(await others).toEqual([2, 20, 200]);
});

test("an error of the generator goes to everybody who still reads, as it is", async () => {
  const error = new TypeError("broken");
  const call = batch(
    async function* () {
      yield [1, batch.done];
      throw error;
    },
    { maxBatchSize: 2 },
  );
  const [first, second] = await Promise.allSettled([readAll(call("a")), readAll(call("b"))]);
  expect(first).toMatchObject({ status: "rejected" });
  expect((first as PromiseRejectedResult).reason).toBe(error);
  expect(second).toEqual({ status: "fulfilled", value: [] });
});

test.each([
  [[1], "an array of 1"],
  ["ab" as unknown as number[], "string"],
])("a step of another length is an error with both numbers, and ends the generator", async (step, given) => {
  let ended = false;
  const call = batch(
    async function* () {
      try {
        yield step;
        yield [1, 2];
      } finally {
        ended = true;
      }
    },
    { maxBatchSize: 2 },
  );
  for (const outcome of await Promise.allSettled([readAll(call("a")), readAll(call("b"))])) {
    const { reason } = outcome as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(HeliostatError);
    expect(String(reason)).toContain("got 2 items");
    expect(String(reason)).toContain(given);
  }
  expect(ended).toBe(true);
});

test("the generator steps only when somebody reads", async () => {
  const { seen, count } = counting({ maxBatchSize: 2 });
  const [first, second] = [count("a"), count("b")];
  await place.settle();
  expect(seen.steps).toBe(1);
  await first.next();
  await place.settle();
  expect(seen.steps).toBe(1);
  await first.next();
  await place.settle();
  expect(seen.steps).toBe(2);
  expect(await second.next()).toEqual({ value: "b0", done: false });
  await place.settle();
  expect(seen.steps).toBe(2);
});

test("a slow reader stops the others at the window, and memory stays bounded", async () => {
  const { seen, count } = counting({ maxBatchSize: 2 });
  const [fast, slow] = [count("a"), count("b")];
  for (let i = 0; i < 256; i++) await fast.next();
  const blocked = fast.next();
  await place.settle();
  expect(seen.steps).toBe(256);
  await slow.next();
  expect(await blocked).toEqual({ value: "a256", done: false });
});

test("whoever leaves holds nobody up; when all have left the generator ends", async () => {
  const { seen, count } = counting({ maxBatchSize: 2 });
  const [first, second] = [count("a"), count("b")];
  await first.next();
  await first.return!();
  expect(await first.next()).toEqual({ value: undefined, done: true });
  for (let i = 0; i < 300; i++) await second.next();
  expect(seen.ended).toBe(false);
  await second.return!();
  await place.settle();
  expect(seen.ended).toBe(true);
});

test("leaving a waiting batch frees the place, and nobody's batch is not run", async () => {
  const { seen, count } = counting({ steps: 1, maxBatchSize: 2 });
  await count("a").return!();
  expect(place.clock.pendingTimers).toBe(0);
  const left = readAll(count("b"));
  await place.settle();
  expect(seen.steps).toBe(0);
  expect(await Promise.all([left, readAll(count("c"))])).toEqual([["b0"], ["c0"]]);
});

test("a cancelled request gets the error at once; the last one aborts the signal", async () => {
  const signals: AbortSignal[] = [];
  const call = batch(
    async function* (items: string[]) {
      signals.push(place.contexts.get()!.signal);
      yield items;
      await new Promise<void>((resolve) => place.contexts.get()!.signal.addEventListener("abort", () => resolve()));
    },
    { maxBatchSize: 2 },
  );
  const replica = place.replica();
  const [one, two] = [replica.request(), replica.request()];
  const first = one.run(() => call("a"));
  const second = two.run(() => call("b"));
  await first.next();
  const [waiting, other] = [first.next(), Promise.all([second.next(), second.next()])];
  one.cancel();
  await expect(waiting).rejects.toThrow(RequestCancelledError);
  expect(signals[0]!.aborted).toBe(false);
  two.cancel();
  await expect(other).rejects.toThrow(RequestCancelledError);
  expect(signals[0]!.aborted).toBe(true);
});

test("a request that drops its stream holds nobody up after its end", async () => {
  const { seen, count } = counting({ maxBatchSize: 2 });
  const replica = place.replica();
  const dropping = replica.request();
  dropping.run(() => void count("a"));
  const reader = replica.request().run(() => count("b"));
  dropping.end();
  for (let i = 0; i < 300; i++) await reader.next();
  expect(seen.steps).toBe(300);
});

test("a stream that is begun by what goes on after a request is read to its end", async () => {
  const { count } = counting({ steps: 2, maxBatchSize: 2 });
  const replica = place.replica();
  const [ended, cancelled] = [replica.request(), replica.request()];
  cancelled.cancel();
  for (const request of [ended, cancelled]) request.end();
  const streams = [ended.run(() => readAll(count("a"))), cancelled.run(() => readAll(count("b")))];
  expect(await Promise.all(streams)).toEqual([
    ["a0", "a1"],
    ["b0", "b1"],
  ]);
});

test("every step runs in none of the stores of those who read", async () => {
  const users = new AsyncLocalStorage<string>();
  const call = batch(
    async function* (items: string[]) {
      for (let i = 0; i < 2; i++) yield items.map(() => users.getStore() ?? "none");
    },
    { maxBatchSize: 2 },
  );
  const replica = place.replica();
  const read = (name: string): Promise<unknown[]> =>
    users.run(name, () => replica.request().run(() => readAll(call(name))));
  expect(await Promise.all([read("a"), read("b")])).toEqual([
    ["none", "none"],
    ["none", "none"],
  ]);
});

test("a request that was cancelled before gets its error", async () => {
  const { seen, count } = counting({ maxBatchSize: 1 });
  const request = place.replica().request();
  request.cancel();
  await expect(readAll(request.run(() => count("a")))).rejects.toThrow(RequestCancelledError);
  expect(seen.steps).toBe(0);
});

test("an item too large alone is an error of its stream", async () => {
  const call = batch(
    async function* (items: string[]) {
      yield items;
    },
    { maxBatchSize: 3, batchSizeOf: (items) => items.join("").length },
  );
  await expect(readAll(call("four"))).rejects.toThrow(/4.*3/);
});
