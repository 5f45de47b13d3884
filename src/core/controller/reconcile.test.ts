import { expect, test } from "vitest";
import { deploymentSpec } from "../../../test/support/specs.ts";
import type { DeploymentOptions } from "../deployment/types.ts";
import { apply } from "./apply.ts";
import { newDeployment, retarget, type DeploymentState } from "./deployment-state.ts";
import { elapse, observe, type ReplicaEvent } from "./observe.ts";
import { isSettled, nextDeadlineMs, reconcile, type Action } from "./reconcile.ts";
import { snapshotOf } from "./snapshot-builder.ts";
import { nextTarget } from "./target.ts";

/** One deployment driven by hand: what `reconcile` asks for is noted as begun, and kept for the test to look at. */
class Driven {
  state: DeploymentState;
  nowMs = 1_000;
  actions: readonly Action[] = [];
  #deploys = 1;
  #started = 0;

  constructor(options: Given) {
    this.state = newDeployment(nextTarget(deploymentSpec("D", options), { app: "default", known: [], unused: 1 }));
    this.run();
  }

  deploy(options: Given): void {
    this.#deploys += 1;
    this.state = retarget(this.state, nextTarget(deploymentSpec("D", options), { app: "default", known: [this.state.target], unused: this.#deploys }));
    this.run();
  }

  tell(replicaId: string, event: ReplicaEvent): void {
    this.state = observe(this.state, replicaId, { event, nowMs: this.nowMs });
    this.run();
  }

  ready(replicaId: string): void {
    this.tell(replicaId, { type: "ready", address: { memory: replicaId }, methods: [] });
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.run();
  }

  run(): void {
    const moment = { nowMs: this.nowMs, wallNowMs: 0, newReplicaId: () => `r${this.#started++}` };
    this.state = elapse(this.state, this.nowMs);
    this.actions = reconcile(this.state, moment);
    for (const action of this.actions) this.state = apply(this.state, action, moment);
    expect(reconcile(this.state, moment), "what is begun is not asked for again").toEqual([]);
  }

  /** Such as `start r3` of the last step. */
  get did(): string[] {
    return this.actions.map(({ type, replicaId }) => `${type} ${replicaId}`);
  }

  get routed(): string[] {
    return snapshotOf(this.state, { nodeId: "n", failure: undefined }).replicas.map(({ replicaId }) => replicaId);
  }
}

type Given = DeploymentOptions & { code?: string };

function running(options: Given): Driven {
  const driven = new Driven(options);
  for (const { replicaId } of driven.state.replicas) driven.ready(replicaId);
  expect(isSettled(driven.state)).toBe(true);
  return driven;
}

test("starts the wanted number with contiguous ranks and is settled when all are ready", () => {
  const driven = new Driven({ numReplicas: 3 });
  expect(driven.actions.map((action) => action.type === "start" && action.rank)).toEqual([0, 1, 2]);
  driven.ready("r1");
  expect(isSettled(driven.state)).toBe(false);
  driven.ready("r0");
  driven.ready("r2");
  expect(isSettled(driven.state)).toBe(true);
  expect(driven.routed).toEqual(["r0", "r1", "r2"]);
});

test("a constructor that always throws is tried three times without a pause, then given up with the user's error", () => {
  const driven = new Driven({});
  const error = new Error("no model");
  for (const id of ["r0", "r1", "r2"]) {
    expect(driven.state.gaveUp).toBe(false);
    driven.tell(id, { type: "failed", phase: "construct", error });
    driven.tell(id, { type: "exited", description: "exited with code 1" });
  }
  expect(driven.state).toMatchObject({ gaveUp: true, status: "DEPLOY_FAILED", replicas: [], lastFailure: { phase: "construct", error } });
  expect(driven.nowMs).toBe(1_000);
  expect(nextDeadlineMs(driven.state, driven.nowMs)).toBe(Infinity);
});

test("code that cannot be loaded is given up at once", () => {
  const driven = new Driven({ numReplicas: 4 });
  driven.tell("r2", { type: "failed", phase: "load", error: new Error("no such module") });
  expect(driven.state.gaveUp).toBe(true);
  expect(driven.state.message).toContain("could not be loaded: no such module");
});

test("the user's error is kept when a later attempt only shows how the process ended", () => {
  const driven = new Driven({ maxConstructorRetryCount: 2 });
  const error = new Error("no model");
  driven.tell("r0", { type: "failed", phase: "construct", error });
  driven.tell("r1", { type: "exited", description: "killed by SIGKILL" });
  expect(driven.state.lastFailure?.error).toBe(error);
});

test("a replica that said it failed and does not exit is killed", () => {
  const driven = new Driven({});
  driven.tell("r0", { type: "failed", phase: "construct", error: 1 });
  driven.wait(1_000);
  expect(driven.did).toEqual(["kill r0"]);
});

test("a crash is made good at once, a crash loop after 1, 2, 4 … 64 s", () => {
  const driven = running({});
  const waits: number[] = [];
  for (let crash = 0; crash < 9; crash++) {
    const id = driven.state.replicas[0]!.replicaId;
    driven.tell(id, { type: "exited", description: "killed by SIGKILL" });
    expect(driven.state).toMatchObject({ status: "UPDATING", message: expect.stringContaining("killed by SIGKILL") });
    const waitMs = driven.did.length > 0 ? 0 : nextDeadlineMs(driven.state, driven.nowMs) - driven.nowMs;
    waits.push(waitMs / 1_000);
    if (waitMs > 0) {
      driven.wait(waitMs - 1);
      expect(driven.did).toEqual([]);
      driven.wait(1);
    }
    expect(driven.did).toHaveLength(1);
    driven.ready(driven.state.replicas[0]!.replicaId);
  }
  expect(waits).toEqual([0, 1, 2, 4, 8, 16, 32, 64, 64]);
});

test("a version that has run is never given up, however often it fails to start", () => {
  const driven = running({});
  driven.tell("r0", { type: "exited", description: "gone" });
  for (let attempt = 0; attempt < 12; attempt++) {
    driven.tell(driven.state.replicas[0]!.replicaId, { type: "exited", description: "gone" });
    driven.wait(64_000);
    expect(driven.did).toHaveLength(1);
  }
  expect(driven.state.gaveUp).toBe(false);
});

test("crashes of different ranks do not slow each other down", () => {
  const driven = running({ numReplicas: 3 });
  for (const id of ["r0", "r1", "r2"]) {
    driven.tell(id, { type: "exited", description: "gone" });
    expect(driven.did).toHaveLength(1);
  }
  expect(driven.state.replicas.map(({ rank }) => rank)).toEqual([0, 1, 2]);
});

test("a hung replica is killed after three timeouts and its rank filled in the same step", () => {
  const driven = running({ healthCheckPeriodMs: 10_000, healthCheckTimeoutMs: 30_000 });
  driven.wait(10_000);
  expect(driven.did).toEqual(["check-health r0"]);
  driven.wait(30_000);
  driven.wait(29_999);
  driven.wait(1);
  driven.wait(29_999);
  expect(driven.routed).toEqual(["r0"]);
  driven.wait(1);
  expect(driven.did).toEqual(["kill r0", "start r1"]);
  expect(driven.routed).toEqual([]);
});

test("a replica whose checkHealth throws three times leaves, drains and is replaced", () => {
  const driven = running({});
  for (const id of [1, 2, 3]) {
    driven.wait(10_000);
    driven.tell("r0", { type: "health", id, error: new Error("lost the GPU") });
  }
  expect(driven.did).toEqual(["stop r0", "start r1"]);
  expect(driven.state.message).toContain("lost the GPU");
});

test("two bad checks and a good one are no reason to replace", () => {
  const driven = running({});
  for (const [id, error] of [[1, 1], [2, 1], [3, undefined], [4, 1], [5, 1]] as const) {
    driven.wait(10_000);
    driven.tell("r0", { type: "health", id, ...(error === undefined ? {} : { error }) });
  }
  expect(driven.routed).toEqual(["r0"]);
});

test("a new version starts before the old one stops, as many at a time as the percentage allows", () => {
  const driven = running({ numReplicas: 10, code: "old" });
  driven.deploy({ numReplicas: 10, code: "new" });
  expect(driven.did).toEqual(["start r10", "start r11"]);
  driven.ready("r10");
  expect(driven.did).toEqual(["stop r0"]);
  expect(driven.routed).toHaveLength(10);
  driven.tell("r0", { type: "exited", description: "exited with code 0" });
  expect(driven.did).toEqual(["start r12"]);
  let most = 0;
  while (!isSettled(driven.state) || driven.state.replicas.length > 10) {
    most = Math.max(most, driven.state.replicas.length);
    const next = driven.state.replicas.find(({ state }) => state === "STOPPING") ?? driven.state.replicas.find(({ state }) => state === "STARTING")!;
    if (next.state === "STOPPING") driven.tell(next.replicaId, { type: "exited", description: "" });
    else driven.ready(next.replicaId);
    expect(driven.routed).toHaveLength(10);
  }
  expect(most).toBe(12);
  expect(new Set(driven.state.replicas.map(({ rank }) => rank))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
});

test("a version that cannot start leaves the old one serving, also where the new one wants fewer", () => {
  const driven = running({ numReplicas: 3, code: "old" });
  driven.deploy({ numReplicas: 1, code: "new" });
  for (let attempt = 0; attempt < 3; attempt++) {
    const id = driven.state.replicas.find(({ state }) => state === "STARTING")!.replicaId;
    driven.tell(id, { type: "failed", phase: "construct", error: new Error("boom") });
    driven.tell(id, { type: "exited", description: "" });
  }
  expect(driven.state.gaveUp).toBe(true);
  expect(driven.routed).toEqual(["r0", "r1", "r2"]);
  expect(snapshotOf(driven.state, { nodeId: "n", failure: undefined }).state).toBe("available");
});

test("a superseded version that has not begun to serve stops at once", () => {
  const driven = running({ code: "old" });
  driven.deploy({ code: "new" });
  driven.deploy({ code: "newer" });
  expect(driven.did).toEqual(["stop r1"]);
  driven.tell("r1", { type: "exited", description: "" });
  expect(driven.did).toEqual(["start r2"]);
});

test("going back to the version that still runs replaces nothing", () => {
  const driven = running({ code: "old" });
  const { target } = driven.state;
  driven.deploy({ code: "new" });
  driven.state = retarget(driven.state, nextTarget(deploymentSpec("D", { code: "old" }), { app: "default", known: [driven.state.target, target], unused: 9 }));
  driven.run();
  expect(driven.did).toEqual(["stop r1"]);
  expect(isSettled(driven.state)).toBe(true);
});

test("fewer replicas: the highest ranks leave, so ranks stay contiguous", () => {
  const driven = running({ numReplicas: 4 });
  driven.deploy({ numReplicas: 2 });
  expect(driven.did).toEqual(["stop r2", "stop r3", "reconfigure r0", "reconfigure r1"]);
  expect(driven.routed).toEqual(["r0", "r1"]);
});

test("a stopping replica leaves the routing and is killed one second after its time", () => {
  const driven = running({ numReplicas: 2, gracefulShutdownTimeoutMs: 5_000 });
  driven.deploy({ numReplicas: 1, gracefulShutdownTimeoutMs: 5_000 });
  expect(driven.actions).toContainEqual(expect.objectContaining({ type: "stop", replicaId: "r1", timeoutMs: 5_000 }));
  expect(driven.routed).toEqual(["r0"]);
  driven.wait(5_999);
  expect(driven.did).not.toContain("kill r1");
  driven.wait(1);
  expect(driven.did).toContain("kill r1");
});

test("a worn replica serves until its successor, with the same rank, is ready", () => {
  const driven = running({ numReplicas: 2 });
  driven.tell("r1", { type: "worn-out", reason: "memory" });
  expect(driven.actions).toEqual([expect.objectContaining({ type: "start", replicaId: "r2", rank: 1 })]);
  expect(driven.routed).toEqual(["r0", "r1"]);
  driven.ready("r2");
  expect(driven.did).toEqual(["stop r1"]);
  expect(driven.routed).toEqual(["r0", "r2"]);
});

test("new limits go to all replicas at once and restart none", () => {
  const driven = running({ numReplicas: 3 });
  driven.deploy({ numReplicas: 3, maxOngoingRequests: 50 });
  expect(driven.did).toEqual(["reconfigure r0", "reconfigure r1", "reconfigure r2"]);
  expect(driven.actions[0]).toMatchObject({ options: { maxOngoingRequests: 50, worldSize: 3 } });
  expect(driven.actions[0]).not.toHaveProperty("userConfig");
  for (const id of ["r0", "r1", "r2"]) driven.tell(id, { type: "reconfigured", id: 1 });
  expect(isSettled(driven.state)).toBe(true);
});

test("a new userConfig goes to as many at a time as a rollout replaces, and they stay in the routing", () => {
  const driven = running({ numReplicas: 3, userConfig: { a: 1 } });
  driven.deploy({ numReplicas: 3, userConfig: { a: 2 } });
  expect(driven.actions).toEqual([expect.objectContaining({ type: "reconfigure", replicaId: "r0", userConfig: { value: { a: 2 } } })]);
  expect(driven.routed).toEqual(["r0", "r1", "r2"]);
  driven.tell("r0", { type: "reconfigured", id: 1 });
  expect(driven.did).toEqual(["reconfigure r1"]);
});

test("a userConfig that is taken away needs new replicas", () => {
  const driven = running({ userConfig: { a: 1 } });
  driven.deploy({});
  expect(driven.did).toEqual(["start r1"]);
});

test("a reconfigure() that throws fails the update, and its replica serves on", () => {
  const driven = running({ userConfig: 1 });
  driven.deploy({ userConfig: 2 });
  driven.tell("r0", { type: "reconfigured", id: 1, error: new Error("bad config") });
  expect(driven.state).toMatchObject({ gaveUp: true, status: "DEPLOY_FAILED", message: expect.stringContaining("reconfigure() threw: bad config") });
  expect(driven.routed).toEqual(["r0"]);
});

test("a change that only callers or the controller use touches no replica", () => {
  const driven = running({});
  driven.deploy({ maxQueuedRequests: 3, healthCheckPeriodMs: 5 });
  expect(driven.did).toEqual([]);
  expect(isSettled(driven.state)).toBe(true);
});

test("events that come too late change nothing", () => {
  const driven = running({ numReplicas: 2 });
  driven.deploy({ numReplicas: 1 });
  const before = driven.state;
  for (const event of [{ type: "ready", address: {}, methods: [] }, { type: "failed", phase: "load", error: 1 }, { type: "worn-out", reason: "" }, { type: "health", id: 1 }, { type: "reconfigured", id: 7 }] as const) {
    driven.tell("r1", event);
    driven.tell("nobody", event);
  }
  expect(driven.state).toBe(before);
});
