import { HeliostatError, BackPressureError, serve, type DeploymentHandle } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { relay, type Relay } from "../../fixtures/relay.ts";
import { thrower, type QuotaError, type Thrower } from "../../fixtures/thrower.ts";
import { failureOf, quiet, start, type Mode, type Running } from "../harness.ts";

/** Semantics 1, 29, 35: what a user's code throws, seen from one, two and three hops away. */
export function describeErrors(mode: Mode): void {
  describe("errors", () => {
    let running: Running<Relay>;
    let direct: DeploymentHandle<Thrower>;
    let first: DeploymentHandle<Relay>;
    beforeAll(async () => {
      const near = relay.options({ name: "First" }).bind(thrower.bind() as never);
      running = await start(mode, relay.options({ name: "Second" }).bind(near as never));
      direct = serve.getDeploymentHandle("Thrower");
      first = serve.getDeploymentHandle("First");
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    const call = (hops: number, method: string, ...args: unknown[]): PromiseLike<unknown> => {
      if (hops === 1) return direct.options({ methodName: method as "works" }).remote(...(args as [number]));
      if (hops === 2) return first.forward.remote(method, ...args);
      return running.handle.forward.remote("forward", method, ...args);
    };

    describe.each([1, 2, 3])("over %i hops", (hops) => {
      it.each(["typed", "typedLater"])("keep name, message, fields and cause (%s)", async (method) => {
        const error = (await failureOf(call(hops, method))) as QuotaError;
        expect(error).toBeInstanceOf(Error);
        expect(error.name).toBe("QuotaError");
        expect(error.constructor.name).toBe("QuotaError");
        expect(error.message).toBe("quota is used up");
        expect(error).toMatchObject({ limit: 7, tags: ["a", "b"], when: new Date(0) });
        expect(Object.keys(error).sort()).toEqual(["limit", "name", "tags", "when"]);
        const inner = error.cause as RangeError;
        expect(inner).toBeInstanceOf(RangeError);
        expect([inner.name, inner.message]).toEqual(["RangeError", "inner"]);
        expect((inner.cause as { code: number }).code).toBe(42);
      });

      it("have the remote stack, and where each hop made the call", async () => {
        const { stack } = await failureOf(call(hops, "typed"));
        expect(stack).toContain("thrower.ts");
        expect(stack).toContain("at Thrower.typed");
        expect(stack).toContain("behaviours/errors.ts");
        const lines = stack!.split("\n");
        expect(lines.filter((line) => line.includes("at remote call"))).toHaveLength(hops);
        if (hops > 1) expect(stack).toContain("relay.ts");
        // First where it was thrown, last where this test called.
        const at = (text: string) => lines.findIndex((line) => line.includes(text));
        expect(at("thrower.ts")).toBeLessThan(at("behaviours/errors.ts"));
      });

      it("of a subclass without a name of its own have the class's name and base", async () => {
        const error = await failureOf(call(hops, "subclass"));
        expect(error).toBeInstanceOf(TypeError);
        expect([error.constructor.name, error.message]).toEqual(["InvalidInputError", "bad input"]);
      });

      it("keep the members of an AggregateError", async () => {
        const error = (await failureOf(call(hops, "aggregate"))) as AggregateError;
        expect(error).toBeInstanceOf(AggregateError);
        expect(error.errors.map((each: Error) => [each.constructor.name, each.message])).toEqual([
          ["TypeError", "one"],
          ["RangeError", "two"],
        ]);
      });

      it("keep a DOMException's name", async () => {
        const error = await failureOf(call(hops, "domException"));
        expect([error.name, error.message]).toEqual(["AbortError", "it was given up"]);
      });

      it("keep a cycle of causes", async () => {
        const error = await failureOf(call(hops, "cycle"));
        const inner = error.cause as Error;
        expect([error.message, inner.message]).toEqual(["round", "and round"]);
        expect((inner.cause as Error).message).toBe("round");
      });

      it("lose a field that cannot travel, and nothing else", async () => {
        const error = await failureOf(call(hops, "unsendableField"));
        expect(error.message).toBe("has a socket");
        expect(error).toMatchObject({ port: 80 });
        expect(error).not.toHaveProperty("socket");
      });

      it("of ours keep their class, code and fields", async () => {
        const error = await failureOf(call(hops, "ours"));
        expect(error).toBeInstanceOf(BackPressureError);
        expect(error).toBeInstanceOf(HeliostatError);
        expect(error).toMatchObject({
          name: "BackPressureError",
          code: "BACK_PRESSURE",
          retryable: true,
          deployment: "Elsewhere",
          queued: 3,
          maxQueuedRequests: 2,
        });
      });

      it.each(["text", "", 5, 0, null, undefined, true, { a: [1] }])("are %j if that was thrown", async (value) => {
        let caught: unknown = "nothing was thrown";
        await call(hops, "value", value).then(undefined, (error: unknown) => (caught = error));
        expect(caught).toEqual(value);
      });
    });

    it("are errors for code in the replicas between, too", async () => {
      const seen = await first.failure.remote("typed");
      expect(seen).toMatchObject({ name: "QuotaError", message: "quota is used up", isError: true });
      expect(seen.stack).toContain("thrower.ts");
      expect(seen.stack).toContain("relay.ts");
    });

    it("travel structured whatever the formats of the call", async () => {
      const json = direct.options({ requestSerialization: "json", responseSerialization: "json" });
      expect(await failureOf(json.typed.remote())).toMatchObject({ name: "QuotaError", limit: 7, when: new Date(0) });
    });

    it("come at each await, as the same error", async () => {
      const response = direct.typed.remote();
      const error = await failureOf(response);
      expect(await failureOf(response)).toBe(error);
      expect(await failureOf(response.result())).toBe(error);
    });

    it("of calls that nobody awaits end no process, here or in a replica", async () => {
      const unhandled = vi.fn();
      process.on("unhandledRejection", unhandled);
      try {
        const before = pids(await serve.status());
        void direct.typed.remote();
        void direct.options({ stream: true, methodName: "typed" }).remote();
        void direct.broadcast("typed");
        expect(await first.fireAndForget.remote("typed")).toBe("sent");
        expect(await running.handle.forward.remote("forward", "works", 1)).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        expect(pids(await serve.status())).toEqual(before);
      } finally {
        process.off("unhandledRejection", unhandled);
      }
      expect(unhandled).not.toHaveBeenCalled();
    });

    it("reject a timeoutMs that is no time, of result()", async () => {
      const error = await failureOf(direct.works.remote(1).result({ timeoutMs: 0 }));
      expect(error).toMatchObject({ code: "CONFIG", path: "timeoutMs" });
    });
  });
}

function pids({ applications }: Awaited<ReturnType<typeof serve.status>>): unknown[] {
  return Object.values(applications["default"]!.deployments).flatMap(({ replicas }) =>
    replicas.map(({ replicaId, pid }) => [replicaId, pid]),
  );
}
