import { afterEach, expect, test } from "vitest";
import { FakeEngine, healthy, type FakeReplica } from "../../test/support/fake-engine.ts";
import { applicationSpec, deploymentSpec } from "../../test/support/specs.ts";
import type { Log } from "../core/contracts/log.ts";
import { HandleReference, type ApplicationSpec } from "../core/deployment/spec.ts";
import { DeploymentFailedError } from "../core/errors.ts";
import type { DeploymentSnapshot } from "../core/router/snapshot.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { Controller } from "./controller.ts";
import type { DeploymentChange } from "./supervised-application.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
let made: { controller: Controller; clock: ManualClock; engine: FakeEngine } | undefined;

function setUp(behaviour = healthy) {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock, behaviour);
  const changes: DeploymentChange[] = [];
  let replicas = 0;
  const controller = new Controller({
    clock,
    log: silent,
    nodeId: "node",
    engines: () => engine,
    newReplicaId: (deployment) => `${deployment}#${replicas++}`,
    onChange: (change) => changes.push(change),
  });
  made = { controller, clock, engine };
  const snapshots = (deployment: string, app = "default") => {
    const seen: DeploymentSnapshot[] = [];
    const end = controller.directory.subscribe(app, deployment, (snapshot) => seen.push(snapshot));
    return { seen, end, last: () => seen.at(-1)! };
  };
  return { clock, engine, controller, changes, snapshots };
}

/** Lets everything happen that needs no time. */
async function settle(clock: ManualClock): Promise<void> {
  for (let round = 0; round < 20; round++) {
    clock.turn();
    await Promise.resolve();
  }
}

async function outcome(clock: ManualClock, promise: Promise<void>): Promise<"pending" | "done" | Error> {
  let state: "pending" | "done" | Error = "pending";
  promise.then(
    () => (state = "done"),
    (error: Error) => (state = error),
  );
  await settle(clock);
  return state;
}

const chain = (options = {}): ApplicationSpec =>
  applicationSpec([
    deploymentSpec("Model", options),
    deploymentSpec("Ingress", { initArgs: [{ model: new HandleReference("default", "Model") }] }),
  ]);

const failing = (error: unknown, phase: "construct" | "load" = "construct") => ({
  ...healthy,
  initialize: (replica: FakeReplica) => replica.fail(phase, error),
});

afterEach(async () => {
  const { controller, clock, engine } = made!;
  const closing = controller.shutdown();
  for (const replica of engine.alive) replica.behaviour = healthy;
  engine.behaviour = healthy;
  await settle(clock);
  clock.advance(60_000);
  expect(await outcome(clock, closing)).toBe("done");
  expect(controller.leftovers()).toMatchObject({ applications: [], replicas: [], timers: 0 });
  expect(engine.alive).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test("deploy resolves when every replica of every deployment runs", async () => {
  const { clock, controller, engine } = setUp({});
  const deploy = controller.deploy(chain({ numReplicas: 2 }));
  expect(await outcome(clock, deploy)).toBe("pending");
  expect(engine.replicas.map(({ id, messages }) => [id, messages[0]?.type])).toEqual([
    ["Model#0", "initialize"],
    ["Model#1", "initialize"],
    ["Ingress#2", "initialize"],
  ]);
  for (const replica of engine.replicas.slice(1)) replica.ready();
  expect(await outcome(clock, deploy)).toBe("pending");
  engine.replicas[0]!.ready();
  expect(await outcome(clock, deploy)).toBe("done");
});

test("a replica is started with all it needs", async () => {
  const { clock, controller, engine } = setUp();
  void controller.deploy(applicationSpec([deploymentSpec("Model", { numReplicas: 2, initArgs: [1], version: "v7" })]));
  await settle(clock);
  expect(engine.replicas[1]!.spec).toMatchObject({
    replicaId: "Model#1",
    app: "default",
    deployment: "Model",
    rank: 1,
    worldSize: 2,
    codeVersion: "v7",
    nodeId: "node",
    initArgs: [1],
  });
});

test("status and changes tell how it goes", async () => {
  const { clock, controller, engine, changes } = setUp({});
  void controller.deploy(chain());
  const status = () => controller.status().applications["default"]!;
  expect(status()).toMatchObject({
    status: "DEPLOYING",
    routePrefix: "/",
    deployments: {
      Model: {
        status: "UPDATING",
        targetReplicas: 1,
        replicas: [{ replicaId: "Model#0", state: "STARTING", pid: 1_000, nodeId: "node" }],
      },
    },
  });
  expect(status().deployments["Model"]!.replicas[0]!.startedAt).toEqual(new Date(clock.wallNow()));
  clock.advance(42_000);
  expect(status().deployments["Model"]!.message).toContain("has been starting for 42 s");
  for (const replica of engine.replicas) replica.ready();
  await settle(clock);
  expect(status()).toMatchObject({
    status: "RUNNING",
    message: "",
    deployments: { Model: { status: "HEALTHY", message: "" } },
  });
  expect(changes.map(({ deployment, status: now }) => `${deployment} ${now}`)).toEqual([
    "Model UPDATING",
    "Ingress UPDATING",
    "Model HEALTHY",
    "Ingress HEALTHY",
  ]);
  expect(controller.status().proxies).toEqual([]);
});

test("a constructor that throws: rejects without time passing, with the user's error, and leaves nothing", async () => {
  const error = new TypeError("weights.bin is missing");
  const { clock, controller, engine, changes } = setUp(failing(error));
  const startMs = clock.now();
  const failed = await outcome(clock, controller.deploy(applicationSpec([deploymentSpec("Model")])));
  expect(failed).toBeInstanceOf(DeploymentFailedError);
  expect(failed).toMatchObject({
    deployment: "Model",
    code: "DEPLOYMENT_FAILED",
    message: expect.stringMatching(/"Model".*constructor threw: weights.bin is missing/),
  });
  expect((failed as Error).cause).toBe(error);
  expect(engine.replicas).toHaveLength(3);
  expect(clock.now()).toBe(startMs);
  expect(controller.isIdle()).toBe(true);
  expect(changes.at(-1)).toMatchObject({
    status: "DEPLOY_FAILED",
    message: expect.stringContaining("weights.bin is missing"),
  });
});

test("what is thrown and is no Error is the cause as it is", async () => {
  const { clock, controller } = setUp(failing({ reason: 7 }));
  expect(await outcome(clock, controller.deploy(applicationSpec([deploymentSpec("Model")])))).toMatchObject({
    cause: { reason: 7 },
  });
});

test("a failed first deploy rejects only when its other replicas are gone, also a hung one", async () => {
  const { clock, controller, engine } = setUp({});
  const deploy = controller.deploy(chain());
  const [model, ingress] = engine.replicas;
  ingress!.behaviour = { kill: healthy.kill! };
  model!.fail("load", new Error("no such module"));
  expect(await outcome(clock, deploy)).toBe("pending");
  const gone = controller.delete("default");
  clock.advance(999);
  expect(await outcome(clock, deploy)).toBe("pending");
  clock.advance(1);
  expect(await outcome(clock, gone)).toBe("done");
  expect(await outcome(clock, deploy)).toMatchObject({ message: expect.stringContaining("no such module") });
  expect(ingress!.kills).toBe(1);
});

test("callers of a deployment that failed are told at once, and nobody waits", async () => {
  const { clock, controller, engine, snapshots } = setUp({});
  void controller.deploy(chain()).catch(() => {});
  const { last } = snapshots("Model");
  await settle(clock);
  expect(last().state).toBe("pending");
  engine.replicas[0]!.fail("load", new Error("no such module"));
  expect(last()).toMatchObject({ state: "failed", message: expect.stringContaining("no such module") });
});

test("an engine that cannot start a replica fails the deploy", async () => {
  const { clock, controller, engine, changes } = setUp();
  engine.startError = new Error("fork: resource temporarily unavailable");
  const failed = await outcome(clock, controller.deploy(applicationSpec([deploymentSpec("Model")])));
  expect(failed).toMatchObject({ message: expect.stringContaining("fork: resource temporarily unavailable") });
  expect(changes.at(-1)).toMatchObject({
    status: "DEPLOY_FAILED",
    message: expect.stringContaining("fork: resource temporarily unavailable"),
  });
});

test("deploying the same again does nothing and resolves", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([controller.deploy(chain()), settle(clock)]);
  expect(await outcome(clock, controller.deploy(chain()))).toBe("done");
  expect(engine.replicas).toHaveLength(2);
});

test("an update replaces what changed and removes what is no longer there, after all else", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([
    controller.deploy(applicationSpec([deploymentSpec("Old"), ...chain().deployments])),
    settle(clock),
  ]);
  engine.behaviour = {};
  const update = controller.deploy(chain({ code: "Model2" }));
  await settle(clock);
  expect(engine.of("Old")).toHaveLength(1);
  expect(engine.of("Model").map(({ id }) => id)).toEqual(["Model#1", "Model#3"]);
  engine.of("Model")[1]!.ready();
  expect(await outcome(clock, update)).toBe("done");
  expect(engine.alive.map(({ id }) => id)).toEqual(["Ingress#2", "Model#3"]);
  expect(controller.status().applications["default"]!.deployments).not.toHaveProperty("Old");
});

test("a failed update is taken back in every deployment, rejects, and shows in the status", async () => {
  const { clock, controller, engine, snapshots } = setUp();
  const ingress = deploymentSpec("Ingress");
  await Promise.all([
    controller.deploy(applicationSpec([deploymentSpec("Gone"), deploymentSpec("Model"), ingress])),
    settle(clock),
  ]);
  const { last } = snapshots("Model");
  engine.behaviour = {
    ...healthy,
    initialize: (replica) =>
      replica.spec.code.name === "Broken" ? replica.fail("construct", new Error("boom")) : replica.ready(),
  };
  const update = applicationSpec([
    deploymentSpec("Added"),
    deploymentSpec("Model", { code: "Broken" }),
    { ...ingress, target: class Ingress2 {} },
  ]);
  expect(await outcome(clock, controller.deploy(update))).toMatchObject({
    deployment: "Model",
    message: expect.stringContaining("boom"),
  });
  await settle(clock);
  expect(last()).toMatchObject({ state: "available", replicas: [{ replicaId: "Model#1" }] });
  expect(engine.of("Ingress")).toHaveLength(1);
  expect(engine.of("Ingress")[0]!.spec.target).toBe(ingress.target);
  expect(engine.of("Gone")).toHaveLength(1);
  expect(engine.of("Added")).toEqual([]);
  const status = controller.status().applications["default"]!;
  expect(status).toMatchObject({
    status: "DEPLOY_FAILED",
    message: expect.stringContaining("boom"),
    deployments: { Model: { status: "DEPLOY_FAILED" }, Ingress: { status: "HEALTHY" } },
  });
  // The old version is still cared for.
  engine.of("Model")[0]!.exit("killed by SIGKILL");
  engine.behaviour = healthy;
  await settle(clock);
  expect(last().replicas).toHaveLength(1);
  expect(engine.of("Model")[0]!.spec.code.name).toBe("Model");
  expect(await outcome(clock, controller.deploy(applicationSpec([deploymentSpec("Model", { code: "Fixed" })])))).toBe(
    "done",
  );
  expect(controller.status().applications["default"]!.status).toBe("RUNNING");
});

test("a userConfig that reconfigure() refuses is taken back", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([
    controller.deploy(applicationSpec([deploymentSpec("Model", { userConfig: "good" })])),
    settle(clock),
  ]);
  engine.alive[0]!.behaviour = {
    ...healthy,
    reconfigure: (replica, message) =>
      replica.say({ type: "reconfigured", id: (message as { id: number }).id, error: new Error("refused") }),
  };
  const update = controller.deploy(applicationSpec([deploymentSpec("Model", { userConfig: "bad" })]));
  expect(await outcome(clock, update)).toMatchObject({ message: expect.stringContaining("refused") });
  await settle(clock);
  expect(engine.alive).toHaveLength(1);
  expect(engine.alive[0]!.spec.options.userConfig).toEqual({ value: "good" });
});

test("a config-only update keeps the processes", async () => {
  const { clock, controller, engine, snapshots } = setUp();
  await Promise.all([controller.deploy(applicationSpec([deploymentSpec("Model", { numReplicas: 2 })])), settle(clock)]);
  const { last } = snapshots("Model");
  const update = applicationSpec([
    deploymentSpec("Model", { numReplicas: 3, userConfig: 5, maxOngoingRequests: 9, maxQueuedRequests: 1 }),
  ]);
  expect(await outcome(clock, controller.deploy(update))).toBe("done");
  expect(engine.alive.map(({ id }) => id)).toEqual(["Model#0", "Model#1", "Model#2"]);
  expect(engine.replicas[0]!.told("reconfigure")).toEqual([
    {
      type: "reconfigure",
      id: 1,
      userConfig: { value: 5 },
      options: expect.objectContaining({ maxOngoingRequests: 9, worldSize: 3 }),
    },
  ]);
  expect(last()).toMatchObject({ maxOngoingRequests: 9, maxQueuedRequests: 1 });
});

test("a second deploy takes the place of one that is going on", async () => {
  const { clock, controller, engine } = setUp({ stop: healthy.stop! });
  const first = controller.deploy(applicationSpec([deploymentSpec("Model", { code: "A" })]));
  await settle(clock);
  engine.behaviour = healthy;
  const second = controller.deploy(applicationSpec([deploymentSpec("Model", { code: "B" })]));
  expect(await outcome(clock, first)).toMatchObject({ message: expect.stringContaining("deployed again") });
  expect(await outcome(clock, second)).toBe("done");
  expect(engine.alive.map(({ spec }) => spec.code.name)).toEqual(["B"]);
});

test("a snapshot without the replica goes out before the replica is told to stop, and the stop names the time", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([
    controller.deploy(applicationSpec([deploymentSpec("Model", { numReplicas: 2, gracefulShutdownTimeoutMs: 7_000 })])),
    settle(clock),
  ]);
  const order: string[] = [];
  controller.directory.subscribe("default", "Model", ({ replicas }) => order.push(`routed ${replicas.length}`));
  await settle(clock);
  const second = engine.replicas[1]!;
  const send = second.send.bind(second);
  second.send = (message) => {
    order.push(message.type);
    send(message);
  };
  await Promise.all([
    controller.deploy(applicationSpec([deploymentSpec("Model", { numReplicas: 1, gracefulShutdownTimeoutMs: 7_000 })])),
    settle(clock),
  ]);
  expect(order).toEqual(["routed 2", "routed 1", "stop"]);
  expect(second.told("stop")).toEqual([{ type: "stop", timeoutMs: 7_000 }]);
});

test("delete stops callers first, kills what does not stop, and resolves when all is gone", async () => {
  const { clock, controller, engine, snapshots } = setUp();
  await Promise.all([controller.deploy(chain({ gracefulShutdownTimeoutMs: 3_000 })), settle(clock)]);
  const [model, ingress] = engine.replicas;
  const { last } = snapshots("Model");
  ingress!.behaviour = {};
  model!.behaviour = { kill: healthy.kill! };
  const gone = controller.delete("default");
  await settle(clock);
  expect(ingress!.told("stop")).toHaveLength(1);
  expect(model!.told("stop")).toEqual([]);
  expect(last().state).toBe("available");
  expect(controller.status().applications["default"]!.status).toBe("DELETING");
  ingress!.exit("exited with code 0");
  await settle(clock);
  expect(model!.told("stop")).toHaveLength(1);
  expect(last()).toMatchObject({ state: "gone", replicas: [] });
  clock.advance(3_999);
  expect(await outcome(clock, gone)).toBe("pending");
  clock.advance(1);
  expect(await outcome(clock, gone)).toBe("done");
  expect(engine.alive).toEqual([]);
});

test("a deployment that waits for its callers to drain, and has crashed, keeps nobody waiting", async () => {
  const { clock, controller, engine, snapshots } = setUp();
  await Promise.all([controller.deploy(chain()), settle(clock)]);
  const { last } = snapshots("Model");
  engine.of("Ingress")[0]!.behaviour = { kill: healthy.kill! };
  void controller.delete("default");
  await settle(clock);
  expect(last().state).toBe("available");
  engine.of("Model")[0]!.exit("killed by SIGKILL");
  expect(last().state).toBe("gone");
  expect(engine.of("Model")).toEqual([]);
});

test("a deploy while the same application is being deleted waits for its end", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([controller.deploy(chain()), settle(clock)]);
  for (const replica of engine.alive) replica.behaviour = {};
  void controller.delete("default");
  const again = controller.deploy(chain());
  expect(await outcome(clock, again)).toBe("pending");
  expect(engine.replicas).toHaveLength(2);
  engine.replicas[1]!.exit("");
  engine.replicas[0]!.exit("");
  expect(await outcome(clock, again)).toBe("done");
  expect(engine.alive).toHaveLength(2);
});

test("deleting ends a deploy that is going on; deleting what is not there is done at once", async () => {
  const { clock, controller } = setUp({ stop: healthy.stop! });
  const deploy = controller.deploy(chain());
  expect(await outcome(clock, controller.delete("default"))).toBe("done");
  expect(await outcome(clock, deploy)).toMatchObject({ message: expect.stringContaining("deleted") });
  expect(await outcome(clock, controller.delete("nothing"))).toBe("done");
});

test("shutdown is idempotent, closes the engines once, and ends deploys", async () => {
  const { clock, controller, engine } = setUp();
  await Promise.all([controller.deploy(chain()), settle(clock)]);
  engine.behaviour = { stop: healthy.stop! };
  const other = controller.deploy(applicationSpec([deploymentSpec("Other")], "other"));
  const first = controller.shutdown();
  expect(controller.shutdown()).toBe(first);
  expect(await outcome(clock, first)).toBe("done");
  expect(await outcome(clock, other)).toBeInstanceOf(DeploymentFailedError);
  expect(engine.closed).toBe(1);
  expect(await outcome(clock, controller.deploy(chain()))).toMatchObject({
    message: expect.stringContaining("shut down"),
  });
  expect(controller.isIdle()).toBe(true);
});

test("no timer is set but for the next health check, and none when nothing runs", async () => {
  const { clock, controller, engine } = setUp();
  expect(clock.pendingTimers).toBe(0);
  await Promise.all([controller.deploy(applicationSpec([deploymentSpec("Model", { numReplicas: 5 })])), settle(clock)]);
  expect(clock.pendingTimers).toBe(1);
  clock.advance(10_000);
  expect(engine.replicas.map((replica) => replica.told("check-health").length)).toEqual([1, 1, 1, 1, 1]);
  await Promise.all([controller.delete("default"), settle(clock)]);
  expect(clock.pendingTimers).toBe(0);
});

test("takes over what another controller kept, stops what nobody asked for, and says what is to be deployed", async () => {
  const { controller, engine, clock, snapshots } = setUp();
  const before = setUp();
  await Promise.all([
    outcome(before.clock, before.controller.deploy(chain())),
    outcome(before.clock, before.controller.deploy(applicationSpec([deploymentSpec("Old")], "old"))),
  ]);
  made = { controller, clock, engine };
  const adopted: FakeReplica[] = [];
  engine.recover = () =>
    before.engine.replicas.map(({ spec, id }) => ({
      spec,
      startedWallMs: 1,
      address: { memory: id },
      adopt(listener) {
        adopted.push(engine.start(spec, listener) as FakeReplica);
        return adopted.at(-1)!;
      },
    }));
  const lost = applicationSpec([deploymentSpec("Lost")], "lost");
  const model = snapshots("Model");
  expect(controller.recover([chain(), lost])).toEqual(["default"]);
  expect(controller.status().applications).toMatchObject({
    default: {
      status: "DEPLOYING",
      deployments: { Model: { replicas: [{ state: "RECOVERING", pid: expect.anything() }] } },
    },
    old: { status: "DELETING" },
  });
  for (const replica of adopted) {
    const { options, worldSize } = replica.spec;
    replica.say({
      type: "recovered",
      ready: { address: { memory: replica.id }, methods: [] },
      isStopping: false,
      options: { ...options, worldSize },
      userConfig: undefined,
    });
  }
  await settle(clock);
  expect(controller.status().applications).toMatchObject({ default: { status: "RUNNING" } });
  expect(controller.status().applications).not.toHaveProperty("old");
  // Who looks for a replica finds it at any time.
  expect(model.seen.every(({ state, replicas }) => state === "available" && replicas.length === 1)).toBe(true);
  model.end();
  expect(engine.replicas).toHaveLength(3);
});
