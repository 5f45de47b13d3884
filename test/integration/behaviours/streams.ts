import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RequestCancelledError, StreamMismatchError, serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { relay, type Relay } from "../../fixtures/relay.ts";
import { streamer, type Streamer } from "../../fixtures/streamer.ts";
import { failureOf, quiet, start, until, type Mode, type Running } from "../harness.ts";

/** At most so many items may be on their way to a reader who does not read. */
const WINDOW_ITEMS = 256;
const WINDOW_BYTES = 1_048_576;

/** Semantics 21. */
export function describeStreams(mode: Mode): void {
  describe("streams", () => {
    let running: Running<Relay>;
    let plain: DeploymentHandle<Streamer>;
    let handle: DeploymentHandle<Streamer, { method: "call"; stream: true }>;
    beforeAll(async () => {
      running = await start(mode, relay.bind(streamer.bind() as never));
      plain = serve.getDeploymentHandle<Streamer>("Streamer");
      handle = plain.options({ stream: true });
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    const happened = (event: string) =>
      until(async () => (await plain.events.remote()).includes(event), `"${event}" did not happen`);
    const oneToN = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

    it.each(["numbers", "syncNumbers", "readable", "laterNumbers"] as const)(
      "give every item in order (%s)",
      async (method) => {
        for (const n of [0, 1, 255, 256, 257, 2_000]) {
          expect(await collect(handle.options({ methodName: method }).remote(n) as AsyncIterable<number>)).toEqual(
            oneToN(n),
          );
        }
      },
    );

    it("give values of every kind, undefined and null among them", async () => {
      const values = [undefined, null, 0, "", new Date(5), { a: new Map([[1, 2]]) }, new Uint8Array([1, 2])];
      expect(await collect(handle.values.remote(values))).toEqual(values);
    });

    it("give large items", async () => {
      const values = [
        new Uint8Array(300_000).fill(1),
        "small",
        new Uint8Array(100_000).fill(2),
        "x".repeat(200_000),
        "small again",
      ];
      expect(await collect(handle.values.remote(values))).toEqual(values);
    });

    it("answer many next() at once, in order", async () => {
      const stream = handle.numbers.remote(3);
      expect(await Promise.all(Array.from({ length: 5 }, () => stream.next()))).toEqual([
        { value: 0, done: false },
        { value: 1, done: false },
        { value: 2, done: false },
        { value: undefined, done: true },
        { value: undefined, done: true },
      ]);
    });

    it.each(["failAfter", "failAfterSync"] as const)(
      "deliver an error after the items before it, once (%s)",
      async (method) => {
        const stream = handle.options({ methodName: method }).remote(300) as AsyncIterableIterator<number>;
        const items: number[] = [];
        const error = await failureOf(
          (async () => {
            for await (const item of stream) items.push(item);
          })(),
        );
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toBe("no more");
        expect(error.stack).toContain("streamer.ts");
        expect(items).toEqual(oneToN(300));
        expect(await stream.next()).toEqual({ value: undefined, done: true });
      },
    );

    it("never throw at .remote(): the first next() rejects", async () => {
      const stream = handle.options({ methodName: "missing" as "numbers" }).remote(1);
      expect(await failureOf(stream.next())).toMatchObject({ code: "UNKNOWN_METHOD" });
      expect(await stream.next()).toEqual({ value: undefined, done: true });
    });

    it.each(["endless", "endlessSync"] as const)(
      "stop their producer at the window, and go on when it is read (%s)",
      async (method) => {
        const stream = handle
          .options({ methodName: method })
          .remote(`window ${method}`) as AsyncIterableIterator<number>;
        expect(await stream.next()).toEqual({ value: 0, done: false });
        const stuck = await stopsGrowing(() => plain.produced.remote());
        expect(stuck).toBeLessThanOrEqual(WINDOW_ITEMS + 2);
        expect(stuck).toBeGreaterThan(100);
        for (let i = 1; i <= 1_000; i++) expect((await stream.next()).value).toBe(i);
        const later = await stopsGrowing(() => plain.produced.remote());
        expect(later).toBeGreaterThan(1_000);
        expect(later).toBeLessThanOrEqual(1_000 + WINDOW_ITEMS + 2);
        await stream.return!();
        await happened(`stopped window ${method}`);
      },
    );

    it("stop their producer at 1 MiB of large items, and keep memory flat", async () => {
      const bytes = 65_536;
      await using stream = handle.endless.remote("bytes", bytes);
      await stream.next();
      const stuck = await stopsGrowing(() => plain.produced.remote());
      expect(stuck).toBeLessThanOrEqual(WINDOW_BYTES / bytes + 3);
      const before = liveBufferBytes();
      for (let i = 0; i < 1_000; i++) await stream.next();
      // 64 MB were read; what is freed is counted only when it was swept.
      await until(() => liveBufferBytes() - before < 8 * 1_048_576, "what was read is held");
      await stream.return!();
      await happened("stopped bytes");
    });

    it("end with a break: the producer stops, next() gives done, and it was not cancelled", async () => {
      const stream = handle.endless.remote("break");
      for await (const item of stream) if (item === 10) break;
      await happened("stopped break");
      expect(await stream.next()).toEqual({ value: undefined, done: true });
    });

    it("end with a break while the producer waits for more", async () => {
      for await (const item of handle.oneThenWait.remote("waiting")) {
        expect(item).toBe("waiting");
        break;
      }
      await happened("stopped waiting: AbortError");
    });

    it("end with cancel(): unread items are dropped, next() rejects", async () => {
      const stream = handle.endless.remote("cancel");
      await stream.next();
      await until(async () => (await plain.produced.remote()) > 100, "nothing is produced");
      stream.cancel();
      stream.cancel();
      expect(stream.cancelled).toBe(true);
      for (let i = 0; i < 2; i++) {
        const error = await failureOf(stream.next());
        expect(error).toBeInstanceOf(RequestCancelledError);
        expect(error).toMatchObject({ requestId: stream.requestId });
      }
      await happened("stopped cancel");
    });

    it("reject a next() that waits when they are cancelled", async () => {
      const stream = handle.oneThenWait.remote("pending");
      await stream.next();
      const pending = stream.next();
      stream.cancel();
      expect(await failureOf(pending)).toBeInstanceOf(RequestCancelledError);
      await happened("stopped pending: AbortError");
    });

    it("end with a signal, whose reason is the cause", async () => {
      const controller = new AbortController();
      const stream = handle.oneThenWait.options({ signal: controller.signal }).remote("signal");
      await stream.next();
      const reason = new Error("enough");
      controller.abort(reason);
      const error = await failureOf(stream.next());
      expect(error).toBeInstanceOf(RequestCancelledError);
      expect(error.cause).toBe(reason);
      await happened("stopped signal: AbortError");
    });

    it("end with their deadline, after the items before it", async () => {
      const stream = handle.oneThenWait.options({ timeoutMs: 60 }).remote("deadline");
      expect((await stream.next()).value).toBe("deadline");
      expect(await failureOf(stream.next())).toMatchObject({ code: "REQUEST_TIMEOUT", timeoutMs: 60, stopped: true });
      expect(await stream.next()).toEqual({ value: undefined, done: true });
      await happened("stopped deadline: TimeoutError");
    });

    it("end with `await using`", async () => {
      {
        await using stream = handle.endless.remote("using");
        expect((await stream.next()).value).toBe(0);
      }
      await happened("stopped using");
    });

    it("that nobody reads do no harm", async () => {
      const stream = handle.failAfter.remote(3);
      await quiet();
      expect(await collect({ [Symbol.asyncIterator]: () => ({ next: () => stream.next() }) }, 3)).toEqual([0, 1, 2]);
    });

    it("become web streams, whose cancel stops the producer", async () => {
      expect(await collect(handle.numbers.remote(300).toReadableStream())).toEqual(oneToN(300));
      const reader = handle.endless.remote("web").toReadableStream().getReader();
      expect((await reader.read()).value).toBe(0);
      await reader.cancel();
      await happened("stopped web");
      const failing = handle.failAfter.remote(1).toReadableStream().getReader();
      expect((await failing.read()).value).toBe(0);
      expect(await failureOf(failing.read())).toBeInstanceOf(RangeError);
    });

    it("cancel a ReadableStream of the deployment's", async () => {
      for await (const item of handle.readable.remote(1_000_000)) if (item === 3) break;
      await happened("readable cancelled");
    });

    it("run in their request's context", async () => {
      const stream = handle.contexts.remote();
      expect(await collect(stream)).toEqual([stream.requestId, stream.requestId, stream.requestId]);
    });

    it("pass through another deployment; a break stops the producer behind it", async () => {
      const through = running.handle.options({ stream: true });
      expect(await collect(through.forwardStream.remote("numbers", 600))).toEqual(oneToN(600));
      const stream = through.forwardStream.remote("endless", "behind");
      await stream.next();
      const stuck = await stopsGrowing(() => plain.produced.remote());
      expect(stuck).toBeLessThanOrEqual(2 * (WINDOW_ITEMS + 2));
      for await (const item of stream) if (item === 20) break;
      await happened("stopped behind");
    });

    it.each(["numbers", "syncNumbers", "readable", "laterNumbers"] as const)(
      "called without stream: true say so (%s)",
      async (method) => {
        const error = await failureOf(plain.options({ methodName: method }).remote(3));
        expect(error).toBeInstanceOf(StreamMismatchError);
        expect(error).toMatchObject({ code: "STREAM_MISMATCH", retryable: false, method });
        expect(error.message).toContain(method);
        expect(error.message).toContain("stream: true");
      },
    );

    it("called without stream: true do not run", async () => {
      await failureOf(plain.marked.remote());
      expect(await plain.events.remote()).not.toContain("marked ran");
    });

    it.each(["text", "list"] as const)("expected of a method that does not stream: an error (%s)", async (method) => {
      const stream = handle.options({ methodName: method }).remote() as AsyncIterableIterator<unknown>;
      const error = await failureOf(stream.next());
      expect(error).toBeInstanceOf(StreamMismatchError);
      expect(error).toMatchObject({ method });
      expect(error.message).toContain(method);
      expect(error.message).toContain("does not stream");
    });

    it("say where an item is that cannot travel", async () => {
      const stream = handle.unsendable.remote();
      expect((await stream.next()).value).toEqual({ name: "well" });
      expect(await failureOf(stream.next())).toMatchObject({ code: "SERIALIZATION", path: "item.name" });
    });
  });
}

async function collect<T>(items: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) if (all.push(item) >= most) break;
  return all;
}

/** Memory of buffers that somebody still holds. */
function liveBufferBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

/** The value of a count when it has not changed for a while. */
async function stopsGrowing(count: () => PromiseLike<number>): Promise<number> {
  let last = -1;
  let same = 0;
  while (same < 5) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = await count();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}
