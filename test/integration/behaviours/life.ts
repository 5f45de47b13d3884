import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConfigError,
  DeploymentFailedError,
  DeploymentUnavailableError,
  HeliostatError,
  serve,
  type Application,
} from "heliostat";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { calculator } from "../../fixtures/calculator.ts";
import { gate } from "../../fixtures/gate.ts";
import { disposed, fixed, front, neverMade, recorder, wronglyMade, type Fixed } from "../../fixtures/lifecycle.ts";
import { member } from "../../fixtures/member.ts";
import { relay } from "../../fixtures/relay.ts";
import { streamer } from "../../fixtures/streamer.ts";
import { failureOf, start, until, watchLeftovers, type Mode } from "../harness.ts";

/** Semantics 14, 16, 19 (start), 32, 34: how applications begin, change and end. */
export function describeLife(mode: Mode): void {
  const local = mode === "local";
  let folder = "";
  let file = "";
  let files = 0;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "life-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    file = join(folder, `${++files}`);
  });
  const events = (): string[] => readFileSync(file, "utf8").trim().split("\n");

  describe("starting", () => {
    it("constructs, reconfigures and checks health once, in this order; the destructor runs at the end", async () => {
      {
        await using running = await start(mode, recorder.options({ userConfig: { threshold: 5 } }).bind(file));
        expect(events()).toEqual(["constructor", 'reconfigure {"threshold":5}', "health"]);
        expect(await running.handle.config.remote()).toEqual({ threshold: 5 });
      }
      expect(events().at(-1)).toBe("dispose");
      expect(events().filter((event) => event === "dispose")).toHaveLength(1);
    });

    it("does not reconfigure without a userConfig; one of undefined is none", async () => {
      await using running = await start(mode, recorder.bind(file));
      expect(events()).toEqual(["constructor", "health"]);
      expect(await running.handle.config.remote()).toBeUndefined();
    });

    it("runs a synchronous destructor, too, of each replica", async () => {
      {
        await using _ = await start(mode, disposed.options({ numReplicas: 2 }).bind(file));
      }
      expect(events()).toEqual(["disposed", "disposed"]);
    });

    it.each([
      ["constructor", undefined, "the model is not there"],
      ["reconfigure", { a: 1 }, "this config is no good"],
      ["health", undefined, "not well from the start"],
    ] as const)("rejects with the user's error if the %s fails", async (misfortune, userConfig, message) => {
      const end = watchLeftovers();
      const app = recorder
        .options({ maxConstructorRetryCount: 1, ...(userConfig === undefined ? {} : { userConfig }) })
        .bind(file, misfortune);
      const error = await failureOf(serve.run(app, { local }));
      expect(error).toBeInstanceOf(DeploymentFailedError);
      expect(error).toMatchObject({ code: "DEPLOYMENT_FAILED", retryable: false, deployment: "Recorder" });
      expect(error.message).toContain("Recorder");
      expect(error.message).toContain(message);
      const cause = error.cause as Error;
      expect(cause).toBeInstanceOf(RangeError);
      expect(cause.message).toBe(message);
      expect(cause.stack).toContain("lifecycle.ts");
      if (misfortune === "constructor") expect((cause.cause as Error).message).toBe("disk on fire");
      await end();
    });

    it.each([
      ["an async create", neverMade.options({ maxConstructorRetryCount: 1 }).bind(), "could not be made"],
      [
        "a create that gives no instance",
        wronglyMade.options({ maxConstructorRetryCount: 1 }).bind() as never,
        "must give an instance",
      ],
      [
        "a userConfig without reconfigure()",
        fixed.options({ maxConstructorRetryCount: 1, userConfig: {} }).bind(),
        "reconfigure",
      ],
      [
        "a deployment behind the ingress",
        front.bind(fixed.options({ name: "Back", maxConstructorRetryCount: 1, userConfig: {} }).bind()),
        "Back",
      ],
    ])("rejects with the reason for %s", async (_, app, text) => {
      const end = watchLeftovers();
      const error = await failureOf(serve.run(app as Application<unknown>, { local }));
      expect(error).toBeInstanceOf(DeploymentFailedError);
      expect(error.message).toContain(text);
      await end();
    });

    it("leaves nothing callable behind a failure, and can be tried again", async () => {
      const end = watchLeftovers();
      await failureOf(
        serve.run(recorder.options({ maxConstructorRetryCount: 1 }).bind(file, "constructor"), { local }),
      );
      expect(await failureOf(serve.getDeploymentHandle<Fixed>("Recorder").remote())).toBeInstanceOf(
        DeploymentUnavailableError,
      );
      const handle = await serve.run(recorder.bind(file), { local });
      expect((await handle.identity.remote()).file).toBe(file);
      await end();
    });

    it.each([
      [() => serve.run(calculator.bind(1), { naem: "x" } as object), "naem"],
      [() => serve.run(calculator.bind(1), { name: "" }), "name"],
      [() => serve.run(calculator.bind(1), { routePrefix: "no" }), "routePrefix"],
      [() => serve.run(calculator as never), "app"],
    ])("rejects options and applications that are none (%#)", async (run, path) => {
      const end = watchLeftovers();
      const error = await failureOf(run());
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ path });
      await end();
    });

    it("rejects arguments that cannot travel, before anything starts", async () => {
      const end = watchLeftovers();
      const error = await failureOf(serve.run(calculator.bind((() => 1) as never), { local }));
      expect(error).toMatchObject({ code: "SERIALIZATION" });
      await end();
    });

    it("is given up by a signal", async () => {
      const end = watchLeftovers();
      const reason = new Error("not now");
      expect(await failureOf(serve.run(calculator.bind(1), { local, signal: AbortSignal.abort(reason) }))).toBe(reason);
      const controller = new AbortController();
      const starting = serve.run(calculator.bind(1), { local, signal: controller.signal });
      setImmediate(() => controller.abort(reason));
      expect(await failureOf(starting)).toBe(reason);
      await end();
    });
  });

  describe("changing", () => {
    it("keeps the replicas when only userConfig changes, and reconfigures them", async () => {
      await using running = await start(mode, recorder.options({ userConfig: 1 }).bind(file));
      const before = await running.handle.identity.remote();
      const again = await serve.run(recorder.options({ userConfig: 2 }).bind(file), { local });
      expect(await again.config.remote()).toBe(2);
      expect(await running.handle.config.remote()).toBe(2);
      expect((await again.identity.remote()).replicaId).toBe(before.replicaId);
      expect(events().filter((event) => event === "constructor")).toHaveLength(1);
    });

    it("replaces the replicas when arguments change; handles go on", async () => {
      await using running = await start(mode, recorder.bind(file));
      const before = await running.handle.identity.remote();
      const other = `${file}b`;
      await serve.run(recorder.bind(other), { local });
      const after = await running.handle.identity.remote();
      expect(after.file).toBe(other);
      expect(after.replicaId).not.toBe(before.replicaId);
      await until(() => events().at(-1) === "dispose", "the old replica is not disposed of");
    });

    it("keeps what runs when a new version cannot start", async () => {
      await using running = await start(mode, recorder.bind(file));
      const error = await failureOf(
        serve.run(recorder.options({ maxConstructorRetryCount: 1 }).bind(file, "constructor"), { local }),
      );
      expect(error).toBeInstanceOf(DeploymentFailedError);
      expect((await running.handle.identity.remote()).file).toBe(file);
    });

    it("changes maxOngoingRequests without a restart", async () => {
      await using running = await start(mode, gate.options({ maxOngoingRequests: 1 }).bind());
      const first = running.handle.hold.remote("a");
      const second = running.handle.hold.remote("b");
      await until(async () => (await running.handle.broadcast("events"))[0]!.length === 1, "the first does not start");
      await serve.run(gate.options({ maxOngoingRequests: 2 }).bind(), { local });
      await until(async () => (await running.handle.broadcast("events"))[0]!.length === 2, "the second does not start");
      await running.handle.broadcast("releaseAll");
      expect(await Promise.all([first, second])).toEqual(["a", "b"]);
    });

    it("runs several applications, and deletes one", async () => {
      await using one = await start(mode, calculator.bind(2), { name: "one", routePrefix: "/one" });
      const two = await serve.run(calculator.bind(3), { name: "two", routePrefix: "/two", local });
      expect(await Promise.all([one.handle.later.remote(1), two.later.remote(1)])).toEqual([2, 3]);
      await serve.delete("two");
      const error = await failureOf(two.later.remote(1));
      expect(error).toBeInstanceOf(DeploymentUnavailableError);
      expect(await failureOf(serve.getAppHandle<Fixed>("two").remote())).toBeInstanceOf(DeploymentUnavailableError);
      expect(await one.handle.later.remote(1)).toBe(2);
      const again = await serve.run(calculator.bind(4), { name: "two", routePrefix: "/two", local });
      expect(await again.later.remote(1)).toBe(4);
      expect(await two.later.remote(1)).toBe(4);
      expect(await failureOf(serve.delete("three"))).toMatchObject({ code: "DEPLOYMENT_UNAVAILABLE" });
    });

    it("finishes what runs when its application is deleted", async () => {
      await using one = await start(mode, calculator.bind(2), { name: "one", routePrefix: "/one" });
      const two = await serve.run(gate.bind(), { name: "two", routePrefix: "/two", local });
      const work = two.wait.remote("w", 50);
      await until(async () => (await two.events.remote()).length === 1, "it does not start");
      await serve.delete("two");
      expect(await work).toBe("w");
      expect(await one.handle.later.remote(1)).toBe(2);
    });

    it("shows what runs in status()", async () => {
      await using _ = await start(mode, member.options({ numReplicas: 2 }).bind(), { name: "shown" });
      const app = (await serve.status()).applications["shown"]!;
      expect(app).toMatchObject({ status: "RUNNING", routePrefix: "/" });
      const { status, targetReplicas, replicas } = app.deployments["Member"]!;
      expect([status, targetReplicas, replicas.length]).toEqual(["HEALTHY", 2, 2]);
      for (const { state, pid, startedAt } of replicas) {
        expect(state).toBe("RUNNING");
        expect(pid === process.pid).toBe(local);
        expect(startedAt).toBeInstanceOf(Date);
      }
    });
  });

  describe("ending", () => {
    it("is idempotent, also when nothing runs, and run may follow", async () => {
      const end = watchLeftovers();
      await serve.shutdown();
      for (const n of [1, 2]) {
        const handle = await serve.run(calculator.bind(n), { local });
        expect(await handle.later.remote(1)).toBe(n);
        await Promise.all([serve.shutdown(), serve.shutdown()]);
        await serve.shutdown();
      }
      await end();
    });

    it("rejects calls on handles from before, at once", async () => {
      const end = watchLeftovers();
      const handle = await serve.run(calculator.bind(1), { local });
      expect(await handle.remote(1, 1)).toBe(2);
      await serve.shutdown();
      for (const call of [
        handle.remote(1, 1),
        handle.later.remote(1),
        handle.options({ stream: true }).handles.remote(handle).next(),
        handle.broadcast("nothing"),
      ]) {
        expect(await failureOf(call)).toBeInstanceOf(DeploymentUnavailableError);
      }
      expect(await failureOf(serve.getAppHandle<Fixed>("default").remote())).toBeInstanceOf(DeploymentUnavailableError);
      await end();
    });

    it("rejects calls, streams and broadcasts that are open with an error of ours", async () => {
      const end = watchLeftovers();
      const options = { gracefulShutdownTimeoutMs: 100, maxOngoingRequests: 1 };
      const gates = await serve.run(gate.options(options).bind(), { local, name: "a", routePrefix: "/a" });
      const streams = await serve.run(relay.options(options).bind(streamer.options(options).bind() as never), {
        local,
        name: "b",
        routePrefix: "/b",
      });
      const running = gates.untilAborted.remote("running");
      const queued = gates.note.remote("queued");
      const broadcast = gates.broadcast("untilAborted", "broadcast");
      const stream = streams.options({ stream: true }).forwardStream.remote("oneThenWait", "x");
      await stream.next();
      const next = stream.next();
      await until(async () => (await gates.broadcast("events"))[0]!.length === 2, "not both run");
      const outcomes = Promise.all([running, queued, broadcast, next].map((open) => failureOf(open)));
      await serve.shutdown();
      for (const error of await outcomes) expect(HeliostatError.isInstance(error)).toBe(true);
      expect((await outcomes)[1]).toBeInstanceOf(DeploymentUnavailableError);
      await end();
    });
  });
}
