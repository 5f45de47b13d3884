import { BackPressureError, SerializationError, serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { calculator, type Calculator } from "../../fixtures/calculator.ts";
import { gate, type Gate } from "../../fixtures/gate.ts";
import { relay, type Relay } from "../../fixtures/relay.ts";
import { thrower, type Thrower } from "../../fixtures/thrower.ts";
import { failureOf, quiet, start, startBeside, until, type Mode, type Running } from "../harness.ts";

/** Semantics 3: responses as arguments of other calls. */
export function describeArguments(mode: Mode): void {
  describe("responses as arguments", () => {
    let running: Running<Relay>;
    let handle: DeploymentHandle<Calculator>;
    beforeAll(async () => {
      running = await start(mode, relay.bind(calculator.bind() as never));
      handle = serve.getDeploymentHandle("Calculator");
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    it("are resolved first, beside plain arguments", async () => {
      expect(await handle.remote(handle.later.remote(1), 5)).toBe(15);
      expect(await handle.remote(handle.later.remote(1), handle.later.remote(2))).toBe(30);
      const response = handle.later.remote(3);
      expect(await handle.remote(response, response)).toBe(60);
      expect(await handle.later.remote(handle.later.remote(handle.later.remote(1)))).toBe(1_000);
    });

    it("may have been resolved before", async () => {
      const response = handle.later.remote(3);
      await response;
      expect(await handle.remote(response, 1)).toBe(31);
    });

    it("leave the arguments beside them as they were at the call", async () => {
      const value = { n: 1 };
      const combined = handle.count.remote(handle.later.remote(1), value);
      const kept = handle.useHandle.remote(handle, handle.inherited.remote(3));
      const echoed = handle.identity.remote(value);
      value.n = 2;
      expect(await combined).toBe(2);
      expect(await kept).toBe(40);
      expect(await echoed).toEqual({ n: 1 });
    });

    it("are resolved concurrently, and the call waits for all", async () => {
      await using app = await startBeside(mode, gate.bind(), "gates");
      const gates = app.handle;
      const call = handle.count.remote(gates.hold.remote("a"), gates.hold.remote("b"));
      await until(async () => (await gates.events.remote()).length === 2, "not both have started");
      await gates.release.remote("b");
      await gates.release.remote("a");
      expect(await call).toBe(2);
    });

    it("that fail make the call fail with their error; it is never sent", async () => {
      await using app = await startBeside(mode, thrower.bind(), "throwing");
      const failing: DeploymentHandle<Thrower> = app.handle;
      const error = await failureOf(handle.later.remote(failing.typed.remote()));
      expect(error).toMatchObject({ name: "QuotaError", limit: 7 });
      expect(error.stack).toContain("thrower.ts");
      const stream = handle.options({ stream: true }).handles.remote(failing.typed.remote() as never);
      expect(await failureOf(stream.next())).toMatchObject({ name: "QuotaError" });
      expect(await failureOf(handle.broadcast("later", failing.typed.remote()))).toMatchObject({ name: "QuotaError" });
    });

    it("that are cancelled make the call fail; a cancelled call leaves its arguments alone", async () => {
      await using app = await startBeside(mode, gate.bind(), "gates");
      const argument = app.handle.hold.remote("x");
      const call = handle.identity.remote(argument);
      call.cancel();
      expect(await failureOf(call)).toMatchObject({ code: "REQUEST_CANCELLED" });
      const other = handle.identity.remote(app.handle.untilAborted.remote("y"));
      await until(async () => (await app.handle.events.remote()).length === 2, "not both have started");
      await app.handle.release.remote("x");
      expect(await argument).toBe("x");
      await app.handle.release.remote("y");
      expect(await other).toBe("y");
      const cancelled = app.handle.untilAborted.remote("z");
      const third = handle.identity.remote(cancelled);
      cancelled.cancel();
      expect(await failureOf(third)).toMatchObject({ code: "REQUEST_CANCELLED" });
    });

    it.each([
      ["in an object", (value: unknown) => ({ x: value }), "args[0].x"],
      ["in an array", (value: unknown) => [1, value], "args[0][1]"],
    ])("that are nested (%s) are an error that says what to do", async (_, nest, path) => {
      const error = await failureOf(handle.identity.remote(nest(handle.later.remote(1))));
      expect(error).toBeInstanceOf(SerializationError);
      expect(error).toMatchObject({ path });
      expect(error.message).toContain("response");
    });

    it("may not be streams", async () => {
      const stream = handle.options({ stream: true }).handles.remote(handle);
      for (const value of [stream, [stream]]) {
        const error = await failureOf(handle.identity.remote(value as unknown));
        expect(error).toBeInstanceOf(SerializationError);
        expect(error.message).toContain("response");
      }
      await stream.return!();
    });

    it("work inside a replica", async () => {
      expect(await running.handle.pipe.remote("later", "later", 2)).toBe(200);
    });
  });

  describe("back-pressure and order", () => {
    let running: Running<Relay>;
    let handle: DeploymentHandle<Gate>;
    let count = 0;
    beforeAll(async () => {
      running = await start(
        mode,
        relay.bind(gate.options({ maxOngoingRequests: 1, maxQueuedRequests: 3 }).bind() as never),
      );
      handle = serve.getDeploymentHandle("Gate");
      // Both callers know the limits from here on.
      await handle.note.remote("warm");
      await running.handle.forward.remote("note", "warm");
    });
    afterEach(async () => {
      await handle.broadcast("releaseAll");
      await quiet();
    });
    afterAll(() => running[Symbol.asyncDispose]());

    const events = async (): Promise<string[]> => (await handle.broadcast("events").results())[0]!;
    const hold = async (through?: DeploymentHandle<Relay>): Promise<string> => {
      const key = `h${++count}`;
      void (through === undefined ? handle.hold.remote(key) : through.forward.remote("hold", key));
      await until(async () => (await events()).includes(`start ${key}`), `${key} does not start`);
      return key;
    };
    const release = (key: string) => handle.broadcast("release", key).results();

    it("refuse at once what would wait behind a full line, with the numbers", async () => {
      const key = await hold();
      const queued = [1, 2, 3].map((i) => handle.note.remote(`q${i}`));
      const error = await failureOf(handle.note.remote("refused"));
      expect(error).toBeInstanceOf(BackPressureError);
      expect(error).toMatchObject({
        code: "BACK_PRESSURE",
        retryable: true,
        deployment: "Gate",
        queued: 3,
        maxQueuedRequests: 3,
      });
      await release(key);
      expect(await Promise.all(queued)).toEqual(["q1", "q2", "q3"]);
      expect(await events()).not.toContain("note refused");
    });

    it("count all handles of a process to one deployment together", async () => {
      const key = await hold();
      const queued = [
        handle.note.remote("a"),
        handle.options({ priority: 0 }).note.remote("b"),
        serve
          .getDeploymentHandle<Gate>("Gate", "default")
          .options({ methodName: "note" })
          .remote("c" as never),
      ];
      expect(await failureOf(handle.note.remote("d"))).toMatchObject({ code: "BACK_PRESSURE", queued: 3 });
      await release(key);
      await Promise.all(queued);
    });

    it("reach the caller of a caller unchanged", async () => {
      const key = await hold();
      const queued = [1, 2, 3].map((i) => running.handle.forward.remote("note", `r${i}`));
      // The limit is the relay's own: this process may still wait.
      await until(
        async () => (await running.handle.leftovers.remote()).join().includes("3 queued") || mode === "local",
        "the relay does not queue",
      );
      const error = await failureOf(running.handle.forward.remote("note", "refused"));
      expect(error).toBeInstanceOf(BackPressureError);
      expect(error).toMatchObject({ deployment: "Gate", queued: 3, maxQueuedRequests: 3, retryable: true });
      await release(key);
      await Promise.all(queued);
    });

    it("let a cancelled call make room", async () => {
      const key = await hold();
      const queued = [1, 2, 3].map((i) => handle.note.remote(`c${i}`));
      queued[1]!.cancel();
      await failureOf(queued[1]!);
      const instead = handle.note.remote("instead");
      expect(await failureOf(handle.note.remote("refused"))).toMatchObject({ queued: 3 });
      await release(key);
      expect(await instead).toBe("instead");
    });

    it("do not count calls whose arguments are not known yet", async () => {
      await using other = await startBeside(mode, gate.bind(), "other");
      const key = await hold();
      const argument = other.handle.hold.remote("arg");
      const unresolved = Array.from({ length: 10 }, () => handle.note.remote(argument));
      const queued = [1, 2].map((i) => handle.note.remote(`u${i}`));
      await other.handle.release.remote("arg");
      const outcomes = await Promise.allSettled([release(key), ...unresolved]);
      // One found room in the line, the limit applied to the others.
      const refused = outcomes.filter(({ status }) => status === "rejected").length;
      expect(refused).toBeLessThan(10);
      for (const outcome of outcomes)
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(BackPressureError);
      expect(await Promise.all(queued)).toEqual(["u1", "u2"]);
    });

    it("do not count broadcasts", async () => {
      const broadcast = handle.broadcast("hold", "broadcast");
      await until(async () => (await events()).includes("start broadcast"), "the broadcast does not start");
      expect(await handle.note.remote("beside")).toBe("beside");
      await release("broadcast");
      expect(await broadcast).toEqual(["broadcast"]);
    });

    it("serve first who came first, and a higher priority before", async () => {
      const key = await hold();
      const low = handle.note.remote("p low");
      const high = handle.options({ priority: 5 }).note.remote("p high");
      const second = handle.note.remote("p second");
      await release(key);
      await Promise.all([low, high, second]);
      expect((await events()).filter((event) => event.startsWith("note p "))).toEqual([
        "note p high",
        "note p low",
        "note p second",
      ]);
    });

    it("order by the time of the call, not of the resolving of its arguments", async () => {
      await using other = await startBeside(mode, gate.bind(), "other");
      const key = await hold();
      const argument = other.handle.hold.remote("arg");
      const first = handle.note.remote(argument);
      const second = handle.note.remote("second");
      await other.handle.release.remote("arg");
      await argument;
      await new Promise((resolve) => setImmediate(resolve));
      await release(key);
      await Promise.all([first, second]);
      const seen = await events();
      expect(seen.indexOf("note arg")).toBeLessThan(seen.lastIndexOf("note second"));
    });

    it("inherit the priority", async () => {
      const key = await hold();
      const before = await running.handle.sent.remote();
      const low = running.handle.forward.remote("note", "i low");
      const high = running.handle.forward.options({ priority: 9 }).remote("note", "i high");
      await until(async () => (await running.handle.sent.remote()) === before + 2, "the relay does not call");
      await release(key);
      await Promise.all([low, high]);
      expect((await events()).filter((event) => event.startsWith("note i "))).toEqual(["note i high", "note i low"]);
    });
  });

  describe("limits", () => {
    it("hold over all callers", async () => {
      const limit = 3;
      await using running = await start(
        mode,
        relay.options({ maxOngoingRequests: 100 }).bind(gate.options({ maxOngoingRequests: limit }).bind() as never),
      );
      const direct = serve.getDeploymentHandle<Gate>("Gate");
      const calls: PromiseLike<unknown>[] = [];
      for (let i = 0; i < 60; i++) {
        calls.push(direct.later.remote(i));
        calls.push(running.handle.forward.remote("later", i));
        calls.push(direct.wait.remote(`w${i}`, i % 3));
      }
      await Promise.all(calls);
      expect(await direct.load.remote()).toEqual({ running: 0, most: limit });
      await quiet();
    });

    it("never refuse a burst that finds free places", async () => {
      await using running = await start(
        mode,
        gate.options({ maxOngoingRequests: 5, maxQueuedRequests: 1, numReplicas: 2 }).bind(),
      );
      for (let round = 0; round < 20; round++) {
        const burst = Array.from({ length: 10 }, (_, i) => running.handle.later.remote(i));
        expect(await Promise.all(burst)).toHaveLength(10);
      }
      await quiet();
    });

    it("keep first in, first out at limit 1 over many calls", async () => {
      await using running = await start(mode, gate.options({ maxOngoingRequests: 1 }).bind());
      const keys = Array.from({ length: 200 }, (_, i) => `n${i}`);
      await Promise.all(
        keys.map((key, i) => (i % 5 === 0 ? running.handle.wait.remote(key, 0) : running.handle.note.remote(key))),
      );
      const order = (await running.handle.events.remote())
        .filter((event) => !event.startsWith("end"))
        .map((event) => event.split(" ")[1]);
      expect(order).toEqual(keys);
      await quiet();
    });
  });
}
