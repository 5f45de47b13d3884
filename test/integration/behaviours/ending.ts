import { getEventListeners } from "node:events";
import { RequestCancelledError, RequestTimeoutError, serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeEach, beforeAll, describe, expect, it } from "vitest";
import { gate, type Gate } from "../../fixtures/gate.ts";
import { relay, type Relay } from "../../fixtures/relay.ts";
import { failureOf, quiet, start, until, type Mode, type Running } from "../harness.ts";

/** Semantics 4, 5, 7: cancelling, signals, deadlines, and what is left after them. */
export function describeEnding(mode: Mode): void {
  let running: Running<Relay>;
  let handle: DeploymentHandle<Gate>;
  let first: DeploymentHandle<Relay>;
  let count = 0;
  let key = "";

  const events = async (): Promise<string[]> => (await handle.broadcast("events").results())[0]!;
  const happened = (event: string) => until(async () => (await events()).includes(event), `"${event}" did not happen`);

  const useGate = (): void => {
    beforeAll(async () => {
      const near = relay.options({ name: "First" }).bind(gate.options({ maxOngoingRequests: 1 }).bind() as never);
      running = await start(mode, relay.options({ name: "Second" }).bind(near as never));
      handle = serve.getDeploymentHandle("Gate");
      first = serve.getDeploymentHandle("First");
    });
    beforeEach(() => {
      key = `k${++count}`;
    });
    afterEach(async () => {
      await handle.broadcast("releaseAll");
      await quiet();
    });
    afterAll(() => running[Symbol.asyncDispose]());
  };

  describe("cancelling", () => {
    useGate();

    it("keeps a queued call from ever starting", async () => {
      const holding = handle.hold.remote(key);
      await happened(`start ${key}`);
      const queued = handle.note.remote(`${key} queued`);
      queued.cancel();
      const error = await failureOf(queued);
      expect(error).toBeInstanceOf(RequestCancelledError);
      expect(error).toMatchObject({ code: "REQUEST_CANCELLED", retryable: false, requestId: queued.requestId });
      await handle.broadcast("release", key).results();
      await holding;
      await handle.note.remote(`${key} later`);
      expect(await events()).not.toContain(`note ${key} queued`);
    });

    it("rejects at once and aborts the signal of running work", async () => {
      const response = handle.untilAborted.remote(key);
      await happened(`start ${key}`);
      response.cancel();
      expect(response.cancelled).toBe(true);
      expect(await failureOf(response)).toBeInstanceOf(RequestCancelledError);
      await happened(`abort ${key}: AbortError of RequestCancelledError`);
    });

    it("reaches the calls made downstream, over two and three hops", async () => {
      const two = first.forward.remote("untilAborted", `${key} two`);
      await happened(`start ${key} two`);
      two.cancel();
      expect(await failureOf(two)).toBeInstanceOf(RequestCancelledError);
      await happened(`abort ${key} two: AbortError of RequestCancelledError`);
      const three = running.handle.forward.remote("forward", "untilAborted", `${key} three`);
      await happened(`start ${key} three`);
      three.cancel();
      expect(await failureOf(three)).toBeInstanceOf(RequestCancelledError);
      await happened(`abort ${key} three: AbortError of RequestCancelledError`);
    });

    it("reaches downstream calls that are queued", async () => {
      void handle.hold.remote(key);
      await happened(`start ${key}`);
      const before = await first.sent.remote();
      const queued = first.forward.remote("note", `${key} queued`);
      await until(async () => (await first.sent.remote()) > before, "the relay did not call");
      queued.cancel();
      await failureOf(queued);
      // What is answered after the cancel was read after it.
      await first.sent.remote();
      await handle.broadcast("release", key).results();
      await handle.note.remote(`${key} later`);
      await first.forward.remote("note", `${key} through`);
      expect(await events()).not.toContain(`note ${key} queued`);
    });

    it("does nothing the second time", async () => {
      const response = handle.untilAborted.remote(key);
      response.cancel();
      response.cancel();
      const error = await failureOf(response);
      response.cancel();
      expect(await failureOf(response)).toBe(error);
    });

    it("does nothing after the result", async () => {
      const response = handle.note.remote(key);
      expect(await response).toBe(key);
      response.cancel();
      expect(response.cancelled).toBe(false);
      expect(await response).toBe(key);
    });

    it("leaves work that ignores its signal in its place until it ends", async () => {
      const holding = handle.hold.remote(key);
      await happened(`start ${key}`);
      holding.cancel();
      await failureOf(holding);
      let started = false;
      const next = handle.note.remote(`${key} next`).then(() => (started = true));
      await events();
      await events();
      expect(started).toBe(false);
      await handle.broadcast("release", key).results();
      await next;
      const seen = await events();
      expect(seen.indexOf(`end ${key}`)).toBeLessThan(seen.indexOf(`note ${key} next`));
    });

    it("rejects what a cancelled request calls afterwards, and never sends it", async () => {
      const response = first.callAfterAbort.remote("note", `${key} late`);
      await until(async () => (await first.waiting.remote()) > 0, "the relay does not wait");
      response.cancel();
      await failureOf(response);
      await until(async () => (await first.lateFailure.remote()) !== undefined, "the late call did not end");
      expect(await first.lateFailure.remote()).toMatchObject({
        name: "RequestCancelledError",
        code: "REQUEST_CANCELLED",
      });
      expect(await events()).not.toContain(`note ${key} late`);
    });

    it("by a signal has the reason as cause, here and in the replica", async () => {
      const controller = new AbortController();
      const reason = new Error("changed my mind");
      const response = handle.untilAborted.options({ signal: controller.signal }).remote(key);
      await happened(`start ${key}`);
      controller.abort(reason);
      const error = await failureOf(response);
      expect(error).toBeInstanceOf(RequestCancelledError);
      expect(error.cause).toBe(reason);
      expect(response.cancelled).toBe(true);
      await happened(`abort ${key}: AbortError of RequestCancelledError because changed my mind`);
    });

    it("by a signal that has aborted before sends nothing", async () => {
      const response = handle.note.options({ signal: AbortSignal.abort("no") }).remote(key);
      const error = await failureOf(response);
      expect(error).toBeInstanceOf(RequestCancelledError);
      expect(error.cause).toBe("no");
      expect(await events()).not.toContain(`note ${key}`);
    });

    it("leaves no listener on a signal, however the call ends", async () => {
      const { signal } = new AbortController();
      const watched = handle.options({ signal });
      await watched.note.remote(key);
      const cancelled = watched.untilAborted.remote(key);
      cancelled.cancel();
      await failureOf(cancelled);
      await failureOf(watched.options({ methodName: "missing" as "note" }).remote(""));
      expect(getEventListeners(signal, "abort")).toHaveLength(0);
    });

    it("leaves nothing behind after 10,000 calls that were cancelled at random", { timeout: 20_000 }, async () => {
      const wide = serve.getDeploymentHandle<Gate>("Gate");
      let seed = 42;
      const random = (below: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
      let rejected = 0;
      for (let round = 0; round < 100; round++) {
        const calls = Array.from({ length: 100 }, (_, i) => {
          const response =
            i % 3 === 0 ? wide.note.remote("") : i % 3 === 1 ? wide.later.remote(i) : first.forward.remote("later", i);
          if (random(4) === 0) response.cancel();
          else if (random(2) === 0) setImmediate(() => response.cancel());
          return response.then(
            () => {},
            (error: unknown) => {
              rejected++;
              expect(error).toBeInstanceOf(RequestCancelledError);
            },
          );
        });
        await Promise.all(calls);
      }
      expect(rejected).toBeGreaterThan(1_000);
      await quiet();
      await until(async () => (await first.leftovers.remote()).length === 0, "the relay has calls left");
      expect(await handle.load.remote()).toMatchObject({ running: 0, most: 1 });
      // Every place is free again.
      expect(await handle.note.remote(key)).toBe(key);
    });
  });

  describe("deadlines", () => {
    useGate();

    it("stop running work", async () => {
      const error = await failureOf(handle.untilAborted.options({ timeoutMs: 40 }).remote(key));
      expect(error).toBeInstanceOf(RequestTimeoutError);
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", retryable: false, timeoutMs: 40, stopped: true });
      await happened(`abort ${key}: TimeoutError of RequestTimeoutError`);
    });

    it("end queued calls, which then never start", async () => {
      void handle.hold.remote(key);
      await happened(`start ${key}`);
      const error = await failureOf(handle.note.options({ timeoutMs: 30 }).remote(`${key} queued`));
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", stopped: true, timeoutMs: 30 });
      await handle.broadcast("release", key).results();
      await handle.note.remote(key);
      expect(await events()).not.toContain(`note ${key} queued`);
    });

    it("include the resolving of arguments", async () => {
      const argument = handle.hold.remote(key);
      const error = await failureOf(handle.note.options({ timeoutMs: 30 }).remote(argument));
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", stopped: true, timeoutMs: 30 });
      await handle.broadcast("release", key).results();
      expect(await argument).toBe(key);
    });

    it("travel over three hops", async () => {
      const error = await failureOf(
        running.handle.forward.options({ timeoutMs: 150 }).remote("forward", "untilAborted", key),
      );
      expect(error).toBeInstanceOf(RequestTimeoutError);
      expect(error).toMatchObject({ timeoutMs: 150, stopped: true });
      await happened(`abort ${key}: TimeoutError of RequestTimeoutError`);
    });

    it("are refused by a replica that reads a call too late", async () => {
      // Nobody reads what comes in meanwhile: neither the call, nor that its time is up.
      const blocking = handle.broadcast("block", 120);
      const error = await failureOf(handle.note.options({ timeoutMs: 40 }).remote(`${key} late`));
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", stopped: true });
      await blocking.results();
      await handle.note.remote(key);
      expect(await events()).not.toContain(`note ${key} late`);
    });

    it("can be shortened by a nested call", async () => {
      const error = await failureOf(
        first.forwardWith
          .options({ timeoutMs: 5_000 })
          .remote({ method: "untilAborted", options: { timeoutMs: 30 } }, key),
      );
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", timeoutMs: 30, stopped: true });
      await happened(`abort ${key}: TimeoutError of RequestTimeoutError`);
    });

    it("are never lengthened by a nested call", async () => {
      const error = await failureOf(
        first.forwardWith
          .options({ timeoutMs: 60 })
          .remote({ method: "untilAborted", options: { timeoutMs: 5_000 } }, key),
      );
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", timeoutMs: 60, stopped: true });
      await happened(`abort ${key}: TimeoutError of RequestTimeoutError`);
    });

    it("reject what is called after they have passed, and it is never sent", async () => {
      const error = await failureOf(first.callAfterAbort.options({ timeoutMs: 40 }).remote("note", `${key} late`));
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", timeoutMs: 40, stopped: true });
      await until(
        async () => (await first.lateFailure.remote())?.code === "REQUEST_TIMEOUT",
        "the late call did not end",
      );
      expect(await first.lateFailure.remote()).toMatchObject({ name: "RequestTimeoutError", timeoutMs: 40 });
      expect(await events()).not.toContain(`note ${key} late`);
    });

    it("of result() only stop the waiting", async () => {
      const response = handle.hold.remote(key);
      const error = await failureOf(response.result({ timeoutMs: 20 }));
      expect(error).toMatchObject({ code: "REQUEST_TIMEOUT", timeoutMs: 20, stopped: false });
      expect(response.cancelled).toBe(false);
      await handle.broadcast("release", key).results();
      expect(await response.result({ timeoutMs: 5_000 })).toBe(key);
      expect(await response).toBe(key);
    });
  });
}
