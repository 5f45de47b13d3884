import { expect, test } from "vitest";
import { Driven, running } from "../../../test/support/driven-deployment.ts";
import { isSettled, nextDeadlineMs } from "./reconcile.ts";

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
  expect(driven.state).toMatchObject({
    gaveUp: true,
    status: "DEPLOY_FAILED",
    replicas: [],
    lastFailure: { phase: "construct", error },
  });
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
  for (const [id, error] of [
    [1, 1],
    [2, 1],
    [3, undefined],
    [4, 1],
    [5, 1],
  ] as const) {
    driven.wait(10_000);
    driven.tell("r0", { type: "health", id, ...(error === undefined ? {} : { error }) });
  }
  expect(driven.routed).toEqual(["r0"]);
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

test("events that come too late change nothing", () => {
  const driven = running({ numReplicas: 2 });
  driven.deploy({ numReplicas: 1 });
  const before = driven.state;
  for (const event of [
    { type: "ready", address: {}, methods: [] },
    { type: "failed", phase: "load", error: 1 },
    { type: "worn-out", reason: "" },
    { type: "health", id: 1 },
    { type: "reconfigured", id: 7 },
  ] as const) {
    driven.tell("r1", event);
    driven.tell("nobody", event);
  }
  expect(driven.state).toBe(before);
});

test("a replica that is found sick and exits in the same moment has failed once", () => {
  const driven = running({});
  for (const id of [1, 2]) {
    driven.wait(10_000);
    driven.tell("r0", { type: "health", id, error: 1 });
  }
  driven.wait(10_000);
  driven.observe("r0", { type: "health", id: 3, error: 1 });
  driven.observe("r0", { type: "exited", description: "exited with code 1" });
  expect(driven.state.failuresByRank.get(0)?.failures).toBe(1);
});

test("a deploy gives a crash loop a fresh chance at once", () => {
  const driven = running({ code: "old" });
  for (const id of ["r0", "r1", "r2"]) {
    driven.tell(id, { type: "exited", description: "gone" });
    driven.wait(1_000);
  }
  expect(driven.state.replicas).toEqual([]);
  driven.deploy({ code: "old" });
  expect(driven.did).toEqual(["start r3"]);
});
