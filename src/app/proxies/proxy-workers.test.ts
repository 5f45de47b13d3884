import { expect, test } from "vitest";
import type { Log } from "../../core/contracts/log.ts";
import { resolveHttpOptions } from "../../core/deployment/run-options.ts";
import { ConfigError } from "../../core/errors.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { Traffic } from "../../proxy/traffic.ts";
import type { ProxyCommand, ProxyProcess, ProxyProcessListener } from "./proxy-messages.ts";
import { ProxyWorkers } from "./proxy-workers.ts";

/** A process of a proxy that does what it is told, unless the test has silenced it. */
class FakeProcess implements ProxyProcess {
  readonly pid: number;
  readonly listener: ProxyProcessListener;
  readonly commands: ProxyCommand[] = [];
  readonly traffic = new Traffic();
  isSilent = false;
  isRunning = true;
  /** The free port that it finds, or why it finds none. */
  readonly #port: () => number | Error;

  constructor(pid: number, listener: ProxyProcessListener, port: () => number | Error) {
    this.pid = pid;
    this.listener = listener;
    this.#port = port;
  }

  send(command: ProxyCommand): void {
    if (!this.isRunning) return;
    this.commands.push(command);
    if (!this.isSilent) queueMicrotask(() => this.#perform(command));
  }

  kill(): void {
    this.exit("was killed by SIGKILL");
  }

  exit(how: string): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.listener.onExit(how);
  }

  /** What it listens with, in the order in which it was told: it never takes a request without its routes. */
  get told(): string[] {
    return this.commands.map((command) =>
      command.type === "routes" ? `routes ${command.routes.map(({ app }) => app).join()}` : command.type,
    );
  }

  #perform(command: ProxyCommand): void {
    if (!this.isRunning) return;
    if (command.type === "listen") {
      const port = command.port === 0 ? this.#port() : command.port;
      if (typeof port === "number") this.listener.onReport({ type: "listening", url: `http://h:${port}`, port });
      else {
        this.listener.onReport({ type: "failed", error: port });
        this.exit("exited with code 0");
      }
    } else if (command.type === "close") this.exit("exited with code 0");
    else if (command.type === "traffic") this.listener.onReport({ type: "traffic", apps: this.traffic.snapshot() });
    if ("id" in command) this.listener.onReport({ type: "done", id: command.id });
  }
}

function prepare(workers: number, port: () => number | Error = () => 4711) {
  const clock = new ManualClock();
  const started: FakeProcess[] = [];
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  const start = (listener: ProxyProcessListener): FakeProcess => {
    const process = new FakeProcess(100 + started.length, listener, port);
    started.push(process);
    return process;
  };
  const http = resolveHttpOptions({ port: 0, workers }, "http");
  return { clock, started, said, options: { http, start, clock, log } };
}

function setUp(workers: number, port?: () => number | Error) {
  const machine = prepare(workers, port);
  return { ...machine, opening: ProxyWorkers.open(machine.options) };
}

const route = (app: string) => ({ app, prefix: `/${app}`, backpressure: {} });
/** What was asked for has been told and answered. */
const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

test("the first finds a port, the others share it, and routes hold when all have them", async () => {
  const { opening, started, clock } = setUp(3);
  const proxy = await opening;
  expect([proxy.url, proxy.port]).toEqual(["http://h:4711", 4711]);
  expect(started.map(({ commands }) => commands)).toEqual([
    [{ type: "listen", port: 0, isAlone: true }],
    [{ type: "listen", port: 4711, isAlone: false }],
    [{ type: "listen", port: 4711, isAlone: false }],
  ]);
  expect(proxy.processes).toEqual([100, 101, 102].map((pid) => ({ pid, status: "HEALTHY" })));
  started[2]!.isSilent = true;
  let holds = false;
  const served = proxy.setRoutes([route("shop")]).then(() => (holds = true));
  await settled();
  expect(holds).toBe(false);
  const { id } = started[2]!.commands.at(-1) as { id: number };
  started[2]!.listener.onReport({ type: "done", id });
  await served;
  // Each is looked after.
  expect(clock.pendingTimers).toBe(3);
  started[2]!.isSilent = false;
  await proxy.close();
  expect(clock.pendingTimers).toBe(0);
});

test("one that answers no longer is ended after a while, and replaced; one bad moment is none", async () => {
  const { opening, started, clock } = setUp(1);
  const proxy = await opening;
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await settled();
    }
  };
  await pass(100_000);
  started[0]!.isSilent = true;
  await pass(45_000);
  started[0]!.isSilent = false;
  await pass(100_000);
  expect(started[0]!.isRunning).toBe(true);
  started[0]!.isSilent = true;
  await pass(61_000);
  expect(started.map(({ isRunning }) => isRunning)).toEqual([false, true]);
  expect(proxy.processes).toEqual([{ pid: 101, status: "HEALTHY" }]);
  await proxy.close();
});

test("what keeps the first from listening is the error, and nothing is left", async () => {
  const taken = new ConfigError("Port 80 is taken.", { path: "http.port" });
  const { opening, started, clock } = setUp(2, () => taken);
  await expect(opening).rejects.toBe(taken);
  expect(started.map(({ isRunning }) => isRunning)).toEqual([false, false]);
  const lost = setUp(2, () => 1);
  lost.started[0]!.exit("exited with code 1");
  await expect(lost.opening).rejects.toThrow("The proxy's process");
  expect(lost.started).toHaveLength(2);
  expect([clock.pendingTimers, lost.clock.pendingTimers]).toEqual([0, 0]);
});

test("one that ends is replaced at once, at its port, and knows its routes and times before it listens", async () => {
  const { opening, started, clock, said } = setUp(2);
  const proxy = await opening;
  await proxy.setRoutes([route("shop")]);
  proxy.setTimeouts({ requestTimeoutMs: undefined, keepAliveTimeoutMs: 5 });
  started[0]!.exit("was killed by SIGKILL");
  expect(proxy.processes).toEqual([
    { pid: 100, status: "UNHEALTHY" },
    { pid: 101, status: "HEALTHY" },
  ]);
  // The next one learns of these.
  const served = proxy.setRoutes([route("shop"), route("desk")]);
  clock.advance(0);
  expect(proxy.processes[0]).toEqual({ pid: 102, status: "STARTING" });
  await served;
  expect(started[2]!.told).toEqual(["timeouts", "routes shop,desk", "listen"]);
  expect(started[2]!.commands.at(-1)).toEqual({ type: "listen", port: 4711, isAlone: false });
  await settled();
  expect(proxy.processes[0]).toEqual({ pid: 102, status: "HEALTHY" });
  expect(said).toEqual([expect.stringMatching(/Proxy process 100 was killed by SIGKILL: .* another .* at once/)]);
});

test("one that keeps ending is started less and less often, until one has stayed", async () => {
  const { opening, started, clock } = setUp(1);
  const proxy = await opening;
  const pauses = [];
  for (let i = 0; i < 10; i++) {
    started.at(-1)!.exit("exited with code 1");
    pauses.push(clock.nextTimerMs - clock.now());
    clock.advance(clock.nextTimerMs - clock.now());
    await settled();
  }
  expect(pauses).toEqual([0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  clock.advance(10_000);
  started.at(-1)!.exit("exited with code 1");
  expect(clock.nextTimerMs - clock.now()).toBe(0);
  await proxy.close();
  expect(clock.pendingTimers).toBe(0);
});

test("whoever waits for one that ends, or says nothing, goes on", async () => {
  const { opening, started, clock, said } = setUp(1);
  const proxy = await opening;
  started[0]!.isSilent = true;
  const served = proxy.setRoutes([route("shop")]);
  started[0]!.exit("was killed by SIGKILL");
  await served;
  clock.advance(0);
  await settled();
  started[1]!.isSilent = true;
  const again = proxy.setRoutes([]);
  clock.advance(10_000);
  await again;
  expect(said.at(-1)).toMatch(/Proxy process 101 has not answered/);
});

test("counts of all are summed, and those of one that has ended are kept", async () => {
  const { opening, started, clock } = setUp(2);
  const proxy = await opening;
  for (const { traffic } of started) traffic.record("shop", 200, 1);
  const counted = async () => (await proxy.traffic()).map(({ app, byStatus }) => [app, byStatus]);
  expect(await counted()).toEqual([["shop", { 200: 2 }]]);
  started[0]!.exit("was killed by SIGKILL");
  clock.advance(0);
  await settled();
  started[2]!.traffic.record("shop", 404, 1);
  expect(await counted()).toEqual([["shop", { 200: 2, 404: 1 }]]);
  expect(await counted()).toEqual([["shop", { 200: 2, 404: 1 }]]);
});

test("drains all, replaces none that ends meanwhile, and kills one that does not close", async () => {
  const { opening, started, clock } = setUp(2);
  const proxy = await opening;
  started[0]!.isSilent = true;
  const drained = proxy.drain(500);
  expect(started.map(({ commands }) => commands.at(-1))).toMatchObject([
    { type: "drain", timeoutMs: 500 },
    { type: "drain", timeoutMs: 500 },
  ]);
  await settled();
  expect(proxy.processes.map(({ status }) => status)).toEqual(["DRAINING", "DRAINING"]);
  started[1]!.exit("was killed by SIGKILL");
  started[0]!.listener.onReport({ type: "done", id: (started[0]!.commands.at(-1) as { id: number }).id });
  await drained;
  const closed = proxy.close();
  await settled();
  expect(started[0]!.isRunning).toBe(true);
  clock.advance(2_000);
  await Promise.all([closed, proxy.close()]);
  expect(started).toHaveLength(2);
  expect(clock.pendingTimers).toBe(0);
});

/** A process that another controller has started, when it hears of this one. */
const back = (process: FakeProcess): void =>
  process.listener.onReport({ type: "listening", url: "http://h:4711", port: 4711 });

test("those that another controller has started go on as they are, and missing ones are added at their port", async () => {
  const { options, started, clock } = prepare(3);
  const adopting = ProxyWorkers.adopt(options, [options.start, options.start]);
  for (const process of started) back(process);
  await settled();
  const proxy = (await adopting)!;
  expect([proxy.url, proxy.port, proxy.options]).toEqual(["http://h:4711", 4711, options.http]);
  expect(started.map(({ commands }) => commands)).toEqual([[], [], [{ type: "listen", port: 4711, isAlone: false }]]);
  expect(proxy.processes.map(({ status }) => status)).toEqual(["HEALTHY", "HEALTHY", "HEALTHY"]);
  // Times alone leave routes as they are: those of before, which nobody has told this controller yet.
  proxy.setTimeouts({ requestTimeoutMs: 5, keepAliveTimeoutMs: 5 });
  expect(started[0]!.told).toEqual(["timeouts"]);
  await proxy.setRoutes([route("shop")]);
  expect(started.map(({ told }) => told.at(-1))).toEqual(["routes shop", "routes shop", "routes shop"]);
  started[0]!.exit("has ended");
  clock.advance(0);
  await settled();
  expect(started[3]!.told).toEqual(["timeouts", "routes shop", "listen"]);
  await proxy.close();
  expect(clock.pendingTimers).toBe(0);
});

test("one that does not come back is ended and replaced; if none does, there is nothing to go on with", async () => {
  const { options, started, clock, said } = prepare(2);
  const adopting = ProxyWorkers.adopt(options, [options.start, options.start]);
  back(started[1]!);
  await settled();
  clock.advance(5_000);
  await settled();
  const proxy = (await adopting)!;
  expect(started.map(({ isRunning }) => isRunning)).toEqual([false, true, true]);
  expect(proxy.processes.map(({ pid }) => pid)).toEqual([101, 102]);
  expect(said).toEqual([expect.stringMatching(/^A proxy cannot be taken over: .* was killed by SIGKILL/)]);
  await proxy.close();

  const lost = prepare(1);
  const nothing = ProxyWorkers.adopt(lost.options, [lost.options.start]);
  lost.started[0]!.exit("has ended");
  expect(await nothing).toBeUndefined();
  expect([clock.pendingTimers, lost.clock.pendingTimers, lost.started.length]).toEqual([0, 0, 1]);
});
