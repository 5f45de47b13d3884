import { HeliostatError, RequestTimeoutError, serve } from "heliostat";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { calculator } from "../../fixtures/calculator.ts";
import { gate } from "../../fixtures/gate.ts";
import { member, slowStart, type Member, type SlowStart } from "../../fixtures/member.ts";
import { relay, type Relay } from "../../fixtures/relay.ts";
import { failureOf, quiet, start, startBeside, until, type Mode, type Running } from "../harness.ts";

/** Semantics 2, 31, 34: what code in a replica knows of itself and its request; broadcasts. */
export function describeMembers(mode: Mode): void {
  describe("broadcasts", () => {
    let running: Running<Member>;
    beforeAll(async () => {
      running = await start(
        mode,
        member.options({ numReplicas: 3, maxOngoingRequests: 1, maxQueuedRequests: 1 }).bind(),
      );
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    it("reach every replica, and give results in the order of their start", async () => {
      const ids = (await running.handle.broadcast("replica").results()).map(({ replicaId }) => replicaId);
      const { replicas } = (await serve.status()).applications["default"]!.deployments["Member"]!;
      expect(ids).toEqual(replicas.map(({ replicaId }) => replicaId));
      expect(new Set(ids).size).toBe(3);
      expect((await running.handle.broadcast("rank")).sort()).toEqual([0, 1, 2]);
    });

    it("can be awaited, asked for results several times, and take arguments", async () => {
      const response = running.handle.broadcast("reset", 5);
      expect(await response).toEqual([5, 5, 5]);
      expect(await response.results()).toEqual([5, 5, 5]);
      expect(await running.handle.broadcast("reset")).toEqual([6, 6, 6]);
    });

    it("resolve responses among their arguments", async () => {
      const before = await running.handle.broadcast("reset", 0);
      expect(await running.handle.broadcast("reset", running.handle.rank.remote())).toHaveLength(before.length);
    });

    it("reject with the first failure, or hold it in its place", async () => {
      const ranks = await running.handle.broadcast("rank");
      const error = await failureOf(running.handle.broadcast("failAt", 1));
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toBe("rank 1 fails");
      const results = await running.handle.broadcast("failAt", 1).results({ returnExceptions: true });
      expect(results.map((result) => (result instanceof RangeError ? "failed" : result))).toEqual(
        ranks.map((rank) => (rank === 1 ? "failed" : rank)),
      );
    });

    it("ignore methodName and stream of the handle", async () => {
      const other = running.handle.options({ methodName: "context", stream: true });
      expect((await other.broadcast("rank")).sort()).toEqual([0, 1, 2]);
    });

    it("reject an unknown method", async () => {
      expect(await failureOf(running.handle.broadcast("missing" as "rank"))).toMatchObject({ code: "UNKNOWN_METHOD" });
    });

    it("reject arguments that cannot travel, and do not throw", async () => {
      expect(await failureOf(running.handle.broadcast("reset", (() => 1) as never))).toMatchObject({
        code: "SERIALIZATION",
        path: "args[0]",
      });
    });

    it("go on when results() waits no longer, and end with cancel()", async () => {
      const response = running.handle.broadcast("waitAt", 2);
      const error = await failureOf(response.results({ timeoutMs: 20 }));
      expect(error).toBeInstanceOf(RequestTimeoutError);
      expect(error).toMatchObject({ stopped: false, timeoutMs: 20 });
      response.cancel();
      response.cancel();
      expect(await failureOf(response)).toMatchObject({ code: "REQUEST_CANCELLED" });
    });

    it("have a deadline, and a signal", async () => {
      expect(await failureOf(running.handle.options({ timeoutMs: 40 }).broadcast("waitAt", 0))).toMatchObject({
        code: "REQUEST_TIMEOUT",
        stopped: true,
        timeoutMs: 40,
      });
      const controller = new AbortController();
      const response = running.handle.options({ signal: controller.signal }).broadcast("waitAt", 0);
      controller.abort("enough");
      expect(await failureOf(response)).toMatchObject({ code: "REQUEST_CANCELLED", cause: "enough" });
    });

    it("start at once where every place is taken and nobody may wait", async () => {
      await using busy = await startBeside(
        mode,
        gate.options({ numReplicas: 2, maxOngoingRequests: 1, maxQueuedRequests: 1 }).bind(),
        "busy",
      );
      const held = [busy.handle.hold.remote("a"), busy.handle.hold.remote("b")];
      await until(
        async () => (await busy.handle.broadcast("events")).flat().length === 2,
        "not both replicas are busy",
      );
      const queued = busy.handle.note.remote("c");
      expect(await failureOf(busy.handle.note.remote("d"))).toMatchObject({
        code: "BACK_PRESSURE",
        queued: 1,
        maxQueuedRequests: 1,
      });
      expect(await busy.handle.broadcast("note", "now")).toEqual(["now", "now"]);
      await busy.handle.broadcast("releaseAll");
      expect(await Promise.all([...held, queued])).toEqual(["a", "b", "c"]);
    });

    it("to a deployment that does not exist are rejected", async () => {
      expect(await failureOf(serve.getDeploymentHandle<Member>("Nobody").broadcast("rank"))).toMatchObject({
        code: "DEPLOYMENT_UNAVAILABLE",
      });
    });
  });

  describe("broadcasts and calls at the start", () => {
    it("wait until there are replicas", async () => {
      await using app = await start(mode, calculator.bind());
      const starting = serve.run(slowStart.bind(150), { name: "slow", local: mode === "local" });
      await until(
        async () => (await serve.status()).applications["slow"]?.status === "DEPLOYING",
        "the application is not deployed",
      );
      const early = serve.getAppHandle<SlowStart>("slow");
      const results = early.broadcast("call").results();
      const result = early.remote();
      expect(await results).toEqual(["ready"]);
      expect(await result).toBe("ready");
      await starting;
      expect(await app.handle.remote(1, 1)).toBe(2);
    });
  });

  describe("contexts", () => {
    let running: Running<Relay>;
    beforeAll(async () => {
      running = await start(mode, relay.bind(member.options({ numReplicas: 2 }).bind() as never), { name: "ctx" });
    });
    afterEach(quiet);
    afterAll(() => running[Symbol.asyncDispose]());

    const members = () => serve.getDeploymentHandle<Member>("Member", "ctx");

    it("give one request id to a request and every call made for it", async () => {
      const response = running.handle.context.remote();
      const { here, there } = (await response) as { here: string; there: { requestId: string } };
      expect(here).toBe(response.requestId);
      expect(there.requestId).toBe(response.requestId);
      expect(running.handle.context.remote().requestId).not.toBe(response.requestId);
    });

    it("stay with their request over awaits, also when many run at once", async () => {
      const responses = Array.from({ length: 50 }, () => members().contextLater.remote());
      expect(await Promise.all(responses)).toEqual(responses.map(({ requestId }) => requestId));
      expect(new Set(responses.map(({ requestId }) => requestId)).size).toBe(50);
    });

    it("know the deadline, which is inherited", async () => {
      const before = Date.now();
      const { there, deadlineHere } = (await running.handle.context.options({ timeoutMs: 10_000 }).remote()) as {
        there: { deadline: number };
        deadlineHere: number;
      };
      for (const deadline of [deadlineHere, there.deadline]) {
        expect(deadline).toBeGreaterThanOrEqual(before + 9_900);
        expect(deadline).toBeLessThanOrEqual(Date.now() + 10_100);
      }
      const without = (await running.handle.context.remote()) as {
        there: { deadline: unknown };
        deadlineHere: unknown;
      };
      expect([without.deadlineHere, without.there.deadline]).toEqual([undefined, undefined]);
    });

    it("have a signal that has not aborted, and a model id only if it was given", async () => {
      expect(await members().context.remote()).toMatchObject({ aborted: false, modelId: "", route: "" });
      expect(await members().options({ multiplexedModelId: "m1" }).modelId.remote()).toBe("m1");
    });

    it("do not hand the model id down; application and handles are found inside a replica", async () => {
      await using app = await startBeside(mode, member.bind(), "mine");
      const seen = await app.handle.options({ multiplexedModelId: "m1" }).own.remote();
      expect(seen.name).toEqual(["mine", "Member"]);
      expect(seen.modelIds).toEqual(["m1", "", "other"]);
      expect(seen.requestIds[0]).toBe(seen.requestIds[1]);
    });

    it("find the ingress of an application from inside a replica", async () => {
      await using app = await startBeside(mode, member.bind(), "mine");
      expect((await app.handle.own.remote()).viaApp).toEqual(["mine", "Member"]);
    });

    it("know the replica", async () => {
      const contexts = await members().broadcast("replica");
      for (const context of contexts) expect(context).toMatchObject({ app: "ctx", deployment: "Member", worldSize: 2 });
      expect(contexts.map(({ rank }) => rank).sort()).toEqual([0, 1]);
      expect(new Set(contexts.map(({ replicaId }) => replicaId)).size).toBe(2);
      expect(new Set(contexts.map(({ codeVersion }) => codeVersion)).size).toBe(1);
      expect(contexts[0]!.codeVersion).not.toBe("");
      const early = await members().broadcast("replicaInConstructor");
      expect(early.map(({ replicaId }) => replicaId)).toEqual(contexts.map(({ replicaId }) => replicaId));
    });

    it("do not exist outside: an error says so", async () => {
      for (const ask of [
        () => serve.getRequestContext(),
        () => serve.getMultiplexedModelId(),
        () => serve.getReplicaContext(),
      ]) {
        expect(ask).toThrow(HeliostatError);
        expect(ask).toThrow(/outside/);
      }
    });
  });
}
