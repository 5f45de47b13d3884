import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ControllerMessage, ReplicaMessage } from "../../src/core/contracts/control-messages.ts";
import type { Engine, ReplicaExit, ReplicaProcess } from "../../src/core/contracts/engine.ts";
import { resolveOptions } from "../../src/core/deployment/options.ts";
import type { DeploymentOptions } from "../../src/core/deployment/types.ts";
import type { ReplicaSpec } from "../../src/core/deployment/spec.ts";
import type { ReplicaAddress } from "../../src/core/router/snapshot.ts";
import { CallerSession } from "../../src/wire/caller-session.ts";
import type { Transport } from "../../src/wire/transport.ts";
import type { WireContext } from "../../src/wire/wire-context.ts";
import { TestCall } from "../wire/harness.ts";
import { Specimen, type SpecimenOptions } from "./specimen.ts";

export interface OpenedEngine {
  readonly engine: Engine;
  readonly context: WireContext;
  connect(address: ReplicaAddress): Transport;
  /** What is still there of its replicas: processes, socket files. */
  leftovers(): string[];
  /** Frees what stands behind the engine. */
  close(): Promise<void>;
}

export interface EngineTraits {
  /** Replicas have an event loop of their own, which user code can block or crash. */
  readonly isolated: boolean;
  /** The code is loaded by the replica, so loading can fail. */
  readonly loads: boolean;
}

type MessageOf<T extends ReplicaMessage["type"]> = Extract<ReplicaMessage, { type: T }>;

/** A controller's place: hears one replica, and gives orders. */
class Supervisor {
  readonly process: ReplicaProcess;
  readonly heard: ReplicaMessage[] = [];
  readonly exits: ReplicaExit[] = [];
  #waiting: (() => void)[] = [];

  constructor(engine: Engine, spec: ReplicaSpec) {
    let started = false;
    const check = (): void => {
      if (!started) throw new Error("The engine told its listener something before start had returned.");
      if (this.exits.length > 0) throw new Error("The engine told its listener something after onExit.");
    };
    this.process = engine.start(spec, {
      onMessage: (message) => {
        check();
        this.heard.push(message);
        this.#wake();
      },
      onExit: (exit) => {
        check();
        this.exits.push(exit);
        this.#wake();
      },
    });
    started = true;
  }

  send(message: ControllerMessage): void {
    this.process.send(message);
  }

  async hear<T extends ReplicaMessage["type"]>(type: T): Promise<MessageOf<T>> {
    for (;;) {
      const found = this.heard.find((message) => message.type === type);
      if (found !== undefined) return found as MessageOf<T>;
      if (this.exits.length > 0)
        throw new Error(
          `It exited without saying "${type}": ${this.exits[0]!.description}; it said ${JSON.stringify(this.heard)}`,
        );
      await this.#next();
    }
  }

  async exit(): Promise<ReplicaExit> {
    while (this.exits.length === 0) await this.#next();
    return this.exits[0]!;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** A call whose outcome can be awaited. */
class AwaitedCall extends TestCall {
  readonly done: Promise<unknown>;
  #settle!: PromiseWithResolvers<unknown>;

  constructor(method: string, args: readonly unknown[]) {
    super(method, args);
    this.#settle = Promise.withResolvers();
    this.done = this.#settle.promise;
    this.done.catch(() => {});
  }

  override resolve(value: unknown): void {
    this.#settle.resolve(value);
  }

  override reject(error: unknown): void {
    this.#settle.reject(error);
  }
}

/** A caller's place: connected to one replica. */
class Client {
  readonly session: CallerSession;
  readonly draining: Promise<void>;
  readonly lost: Promise<Error>;

  constructor(opened: OpenedEngine, address: ReplicaAddress) {
    const draining = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<Error>();
    this.draining = draining.promise;
    this.lost = lost.promise;
    this.session = new CallerSession({
      context: { ...opened.context, peerId: crypto.getRandomValues(new Uint8Array(16)) },
      open: () => opened.connect(address),
      listener: {
        onFinished() {},
        onRefused: (call) => call.reject(new Error("refused")),
        onFree() {},
        onDraining: () => draining.resolve(),
        onLost: (error, calls) => {
          for (const { call } of calls) call.reject(error);
          lost.resolve(error);
        },
      },
    });
  }

  ask(method: string, ...args: unknown[]): Promise<unknown> {
    const call = new AwaitedCall(method, args);
    if (!this.session.send(call)) throw new Error("The connection is closed.");
    return call.done;
  }
}

const live = { maxOngoingRequests: 5, gracefulShutdownWaitLoopMs: 100, gracefulShutdownTimeoutMs: 1_000, worldSize: 1 };

/** What every engine must do, wherever it runs its replicas. */
export function describeEngine(name: string, traits: EngineTraits, open: () => Promise<OpenedEngine>): void {
  describe(name, () => {
    let opened: OpenedEngine;
    let directory: string;
    let diaries = 0;
    const supervisors: Supervisor[] = [];
    const clients: Client[] = [];

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), "heliostat-engine-"));
      opened = await open();
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.session.close();
      for (const supervisor of supervisors.splice(0)) {
        supervisor.process.kill();
        await supervisor.exit();
        expect(supervisor.exits).toHaveLength(1);
      }
      expect(opened.leftovers()).toEqual([]);
    });
    afterAll(async () => {
      await opened.engine.close();
      await opened.close();
      rmSync(directory, { recursive: true, force: true });
    });

    function start(given: { name?: string; options?: DeploymentOptions; failsIn?: SpecimenOptions["failsIn"] } = {}): {
      replica: Supervisor;
      diary(): string[];
    } {
      const file = join(directory, `${++diaries}.txt`);
      const specimen: SpecimenOptions = {
        diary: file,
        ...(given.failsIn === undefined ? {} : { failsIn: given.failsIn }),
      };
      const spec: ReplicaSpec = {
        replicaId: `default#Specimen#${diaries}`,
        app: "default",
        deployment: "Specimen",
        kind: "class",
        answersHttp: false,
        code: { module: new URL("./specimen.ts", import.meta.url).href, name: given.name ?? "Specimen", ordinal: 0 },
        target: traits.loads ? undefined : Specimen,
        initArgs: [specimen],
        options: resolveOptions(given.options ?? {}),
        rank: 0,
        worldSize: 1,
        codeVersion: "1",
        nodeId: "local",
      };
      const replica = new Supervisor(opened.engine, spec);
      supervisors.push(replica);
      return { replica, diary: () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []) };
    }

    async function serving(
      given: Parameters<typeof start>[0] = {},
    ): Promise<{ replica: Supervisor; client: Client; address: ReplicaAddress; diary(): string[] }> {
      const { replica, diary } = start(given);
      // Before the replica listens: it is kept for it.
      replica.send({ type: "initialize" });
      const { address } = await replica.hear("ready");
      const client = new Client(opened, address);
      clients.push(client);
      return { replica, client, address, diary };
    }

    test("a started replica serves at its address, with its configuration, and says what can be called", async () => {
      const { replica, client, diary } = await serving({
        options: { userConfig: { a: [1] }, env: { HELIOSTAT_TEST: "given" } },
      });
      const { methods } = await replica.hear("ready");
      expect(methods).toEqual(expect.arrayContaining(["echo", "config", "work", "checkHealth", "reconfigure"]));
      expect(methods).not.toContain("constructor");
      expect(methods).not.toContain("#note");
      expect(await client.ask("echo", 1, new Uint8Array([1, 2]), "x".repeat(200_000))).toEqual([
        1,
        new Uint8Array([1, 2]),
        "x".repeat(200_000),
      ]);
      expect(await client.ask("config")).toEqual({ a: [1] });
      if (traits.isolated) expect(await client.ask("env", "HELIOSTAT_TEST")).toBe("given");
      await expect(client.ask("toString")).rejects.toMatchObject({ code: "UNKNOWN_METHOD" });
      expect(diary()).toEqual(["constructed"]);
      expect(replica.heard.map(({ type }) => type)).toEqual(["ready"]);
      expect(typeof replica.process.pid).toBe("number");
    });

    test("it reconfigures and checks its health when told, and reports what fails", async () => {
      const { replica, client } = await serving();
      replica.send({ type: "reconfigure", id: 1, options: live, userConfig: { value: { b: 2 } } });
      expect(await replica.hear("reconfigured")).toEqual({ type: "reconfigured", id: 1 });
      expect(await client.ask("config")).toEqual({ b: 2 });
      replica.heard.length = 0;
      replica.send({ type: "reconfigure", id: 2, options: live, userConfig: { value: "bad" } });
      const failed = await replica.hear("reconfigured");
      expect(failed).toMatchObject({ id: 2, error: { message: "a bad configuration" } });
      expect(failed.error).toBeInstanceOf(RangeError);
      replica.send({ type: "check-health", id: 3 });
      expect(await replica.hear("health")).toEqual({ type: "health", id: 3 });
      await client.ask("catchIllness");
      replica.heard.length = 0;
      replica.send({ type: "check-health", id: 4 });
      expect(await replica.hear("health")).toMatchObject({ id: 4, error: { message: "feeling ill" } });
      // Both are for the controller to judge: it goes on to serve.
      expect(await client.ask("echo", 1)).toEqual([1]);
      expect(replica.exits).toEqual([]);
    });

    test("a new limit holds at once", async () => {
      const { replica, client } = await serving();
      replica.send({ type: "reconfigure", id: 1, options: { ...live, maxOngoingRequests: 1 } });
      await replica.hear("reconfigured");
      void client.ask("never").catch(() => {});
      await expect(client.ask("echo", 1)).rejects.toThrow("refused");
    });

    const failures: [string, NonNullable<Parameters<typeof start>[0]>, { message: RegExp }][] = [
      ["construct", { failsIn: "construct" }, { message: /no weights/ }],
      ["reconfigure", { options: { userConfig: "bad" } }, { message: /a bad configuration/ }],
      ["health", { failsIn: "health" }, { message: /feeling ill/ }],
    ];
    if (traits.loads) failures.push(["load", { name: "Missing" }, { message: /did not define Missing/ }]);
    test.each(failures)(
      "one that fails in its phase %s says why, and exits by itself",
      async (phase, given, { message }) => {
        const { replica, diary } = start(given);
        replica.send({ type: "initialize" });
        const failed = await replica.hear("failed");
        expect(failed.phase).toBe(phase);
        expect((failed.error as Error).message).toMatch(message);
        expect((failed.error as Error).stack).toMatch(message);
        const { code } = await replica.exit();
        expect(code).toBe(0);
        expect(replica.heard.map(({ type }) => type)).toEqual(["failed"]);
        expect(diary()).toEqual(phase === "construct" || phase === "load" ? [] : ["constructed", "disposed"]);
      },
    );

    test("stop finishes what runs, refuses what comes, runs the destructor, and exits by itself", async () => {
      const { replica, client, diary } = await serving();
      const working = client.ask("work", 100);
      await client.ask("echo", "so that it has begun");
      replica.send({ type: "stop", timeoutMs: 10_000 });
      await client.draining;
      await expect(client.ask("echo", 1)).rejects.toThrow("refused");
      expect(await working).toBe("worked");
      expect(replica.exits).toEqual([]);
      client.session.close();
      const exit = await replica.exit();
      expect(exit).toMatchObject({ code: 0, signal: null });
      expect(diary()).toEqual(["constructed", "began", "worked", "disposed"]);
      replica.send({ type: "check-health", id: 9 });
      replica.process.kill();
      expect(replica.exits).toHaveLength(1);
    });

    test("stop does not wait for ever", async () => {
      const { replica, client, diary } = await serving();
      const hanging = client.ask("never");
      hanging.catch(() => {});
      await client.ask("echo", 1);
      replica.send({ type: "stop", timeoutMs: 20 });
      expect((await replica.exit()).code).toBe(0);
      await expect(hanging).rejects.toThrow();
      expect(diary()).toEqual(["constructed", "disposed"]);
    });

    test("kill ends it without mercy, once", async () => {
      const { replica, client, diary } = await serving();
      const hanging = client.ask("never");
      hanging.catch(() => {});
      await client.ask("echo", 1);
      replica.process.kill();
      replica.process.kill();
      const exit = await replica.exit();
      expect(exit.signal).toBe("SIGKILL");
      expect(exit.description).toMatch(/killed|terminated/);
      await client.lost;
      await expect(hanging).rejects.toThrow();
      expect(diary()).toEqual(["constructed"]);
      replica.send({ type: "initialize" });
    });

    test("one that was never told anything can be killed", async () => {
      const { replica, diary } = start();
      replica.process.kill();
      expect((await replica.exit()).signal).toBe("SIGKILL");
      expect(replica.heard).toEqual([]);
      expect(diary()).toEqual([]);
    });

    test.runIf(traits.isolated)("one whose code never gives the event loop back can be killed", async () => {
      const { replica, client } = await serving();
      client.ask("spin").catch(() => {});
      await new Promise(setImmediate);
      replica.process.kill();
      expect((await replica.exit()).signal).toBe("SIGKILL");
      await client.lost;
    });

    test.runIf(traits.isolated)("one that exits says with what code, and its calls are lost", async () => {
      const { replica, client } = await serving();
      await expect(client.ask("exit", 7)).rejects.toThrow();
      const exit = await replica.exit();
      expect(exit).toMatchObject({ code: 7, signal: null });
      expect(exit.description).toContain("exited with code 7");
      expect(exit.description).toContain("these are my last words");
    });

    test.runIf(traits.isolated)("one that crashes takes no other with it, and its error is told", async () => {
      const [first, second] = await Promise.all([serving(), serving()]);
      await first.client.ask("crash").catch(() => {});
      const exit = await first.replica.exit();
      expect(exit.code).not.toBe(0);
      expect(exit.description).toContain("nobody caught this");
      expect(await second.client.ask("echo", 1)).toEqual([1]);
    });

    test("close ends every replica and leaves nothing", async () => {
      const own = await open();
      const replicas: Supervisor[] = [];
      try {
        for (let i = 0; i < 2; i++) {
          const file = join(directory, `${++diaries}.txt`);
          const replica = new Supervisor(own.engine, {
            replicaId: `default#Specimen#${diaries}`,
            app: "default",
            deployment: "Specimen",
            kind: "class",
            answersHttp: false,
            code: { module: new URL("./specimen.ts", import.meta.url).href, name: "Specimen", ordinal: 0 },
            target: traits.loads ? undefined : Specimen,
            initArgs: [{ diary: file }],
            options: resolveOptions({}),
            rank: i,
            worldSize: 2,
            codeVersion: "1",
            nodeId: "local",
          });
          replicas.push(replica);
          replica.send({ type: "initialize" });
        }
        await replicas[0]!.hear("ready");
        await own.engine.close();
        for (const replica of replicas) await replica.exit();
        await own.engine.close();
        expect(own.leftovers()).toEqual([]);
      } finally {
        await own.close();
      }
      expect(own.leftovers()).toEqual([]);
    });
  });
}
