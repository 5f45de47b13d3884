import { expect, test } from "vitest";
import { Driven, running } from "../../../test/support/driven-deployment.ts";
import { deploymentSpec } from "../../../test/support/specs.ts";
import { retarget, rollBack } from "./deployment-state.ts";
import { isSettled } from "./reconcile.ts";
import { snapshotOf } from "./snapshot-builder.ts";
import { nextTarget } from "./target.ts";

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
    const next =
      driven.state.replicas.find(({ state }) => state === "STOPPING") ??
      driven.state.replicas.find(({ state }) => state === "STARTING")!;
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
  driven.state = retarget(
    driven.state,
    nextTarget(deploymentSpec("D", { code: "old" }), {
      app: "default",
      known: [driven.state.target, target],
      unused: 9,
    }),
  );
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
  expect(driven.actions).toEqual([
    expect.objectContaining({ type: "reconfigure", replicaId: "r0", userConfig: { value: { a: 2 } } }),
  ]);
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
  expect(driven.state).toMatchObject({
    gaveUp: true,
    status: "DEPLOY_FAILED",
    message: expect.stringContaining("reconfigure() threw: bad config"),
  });
  expect(driven.routed).toEqual(["r0"]);
});

test("a change that only callers or the controller use touches no replica", () => {
  const driven = running({});
  driven.deploy({ maxQueuedRequests: 3, healthCheckPeriodMs: 5 });
  expect(driven.did).toEqual([]);
  expect(isSettled(driven.state)).toBe(true);
});

test("a successor that gets ready while its deployment lingers still takes the place of the old replica", () => {
  const driven = running({ code: "old" });
  driven.deploy({ code: "new" });
  driven.state = { ...driven.state, mode: "lingering" };
  driven.ready("r1");
  expect(driven.did).toEqual(["stop r0"]);
  expect(driven.routed).toEqual(["r1"]);
});

test("a failed start of the version before says nothing about the new one", () => {
  const driven = new Driven({ code: "old" });
  driven.state = retarget(
    driven.state,
    nextTarget(deploymentSpec("D", { code: "new" }), { app: "default", known: [driven.state.target], unused: 2 }),
  );
  driven.observe("r0", { type: "failed", phase: "load", error: new Error("old trouble") });
  expect(driven.state.gaveUp).toBe(false);
});

test("it is not settled while an old replica still serves beside its successor", () => {
  const driven = running({ code: "old" });
  driven.deploy({ code: "new" });
  driven.observe("r1", { type: "ready", address: {}, methods: [] });
  expect(isSettled(driven.state)).toBe(false);
  driven.run();
  expect(isSettled(driven.state)).toBe(true);
});

test("after a failed update the old version is never given up, also if none of it was left", () => {
  const driven = running({ code: "old" });
  const { target } = driven.state;
  for (const id of ["r0", "r1"]) driven.tell(id, { type: "exited", description: "gone" });
  driven.deploy({ code: "new" });
  driven.tell("r2", { type: "failed", phase: "load", error: new Error("boom") });
  driven.tell("r2", { type: "exited", description: "" });
  driven.state = rollBack(driven.state, target);
  driven.run();
  for (const id of ["r3", "r4", "r5", "r6"]) {
    expect(driven.state.replicas.map(({ replicaId }) => replicaId)).toEqual([id]);
    driven.tell(id, { type: "exited", description: "still gone" });
    driven.wait(64_000);
  }
  expect(driven.state).toMatchObject({
    gaveUp: false,
    status: "DEPLOY_FAILED",
    message: expect.stringContaining("boom"),
  });
});

test("a replica that cannot even go back to the old userConfig is replaced", () => {
  const driven = running({ numReplicas: 2, rollingUpdatePercentage: 1, userConfig: 1 });
  const { target } = driven.state;
  driven.deploy({ numReplicas: 2, rollingUpdatePercentage: 1, userConfig: 2 });
  driven.tell("r0", { type: "reconfigured", id: 1, error: new Error("bad config") });
  driven.state = rollBack(driven.state, target);
  driven.run();
  expect(driven.did).toEqual(["start r2"]);
  driven.ready("r2");
  driven.tell("r0", { type: "exited", description: "" });
  driven.tell("r1", { type: "reconfigured", id: 1 });
  expect(driven.did).toEqual(["reconfigure r1"]);
  driven.tell("r1", { type: "reconfigured", id: 2, error: new Error("cannot go back") });
  expect(driven.state.gaveUp).toBe(false);
  expect(driven.did).toEqual(["start r3"]);
});
