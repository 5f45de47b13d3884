import { expect, test } from "vitest";
import { applicationSpec, deploymentSpec } from "../../../test/support/specs.ts";
import type { ReplicaReport } from "../contracts/control-messages.ts";
import { HandleReference, type ApplicationSpec } from "../deployment/spec.ts";
import { deployApplication, observeReplica, stepApplication, type ApplicationState } from "./application-state.ts";
import type { ReplicaEvent } from "./observe.ts";
import { recoverApplication, recoverLeftovers } from "./recover.ts";
import { RECOVERY_MS, type FoundReplica } from "./recover-replica.ts";
import { snapshotOf } from "./snapshot-builder.ts";
import { liveOptionsOf, nextTarget, replicaSpecOf } from "./target.ts";

const START_MS = 1_000;

/** A replica that another controller has started for the deployment, whatever its application is now. */
function found(spec: ApplicationSpec, deployment: string, rank = 0, serves = true): FoundReplica {
  const deploymentSpec = spec.deployments.find(({ name }) => name === deployment)!;
  const target = nextTarget(deploymentSpec, { app: spec.name, known: [], unused: 7 });
  const replicaId = `${deployment}#${rank}`;
  return {
    spec: replicaSpecOf(target, { replicaId, rank, nodeId: "n" }),
    startedWallMs: 5,
    address: serves ? { socketPath: `/${replicaId}` } : undefined,
  };
}

/** One that a controller takes over, driven by hand. */
class Recovered {
  state: ApplicationState;
  did: string[] = [];
  #nowMs = START_MS;
  #started = 0;

  constructor(state: ApplicationState) {
    this.state = state;
    this.wait(0);
  }

  wait(ms: number): void {
    this.#nowMs += ms;
    const moment = {
      nowMs: this.#nowMs,
      wallNowMs: 0,
      newReplicaId: (name: string) => `${name}#new${this.#started++}`,
    };
    const { app, actions } = stepApplication(this.state, moment);
    this.state = app;
    this.did = actions.map(({ action }) => `${action.type} ${action.replicaId}`);
  }

  /** It comes back with what the controller expects of it, but for what is given. */
  comesBack(replicaId: string, report: Partial<ReplicaReport> = {}): void {
    const deployment = replicaId.split("#")[0]!;
    const { target } = this.state.deployments.get(deployment)!;
    const event = {
      type: "recovered",
      ready: { address: { socketPath: `/${replicaId}` }, methods: ["fetch"] },
      isStopping: false,
      options: liveOptionsOf(target),
      userConfig: target.spec.options.userConfig,
      ...report,
    } as const;
    this.tell(replicaId, event);
  }

  tell(replicaId: string, event: ReplicaEvent): void {
    const deployment = replicaId.split("#")[0]!;
    this.state = observeReplica(this.state, { deployment, replicaId, event }, this.#nowMs);
    this.wait(0);
  }

  states(deployment = "D"): string[] {
    return (
      this.state.deployments.get(deployment)?.replicas.map(({ replicaId, state }) => `${replicaId} ${state}`) ?? []
    );
  }

  routed(deployment = "D"): string[] {
    const state = this.state.deployments.get(deployment)!;
    return snapshotOf(state, { nodeId: "n", failure: undefined }).replicas.map(({ replicaId }) => replicaId);
  }
}

const app = (options: Parameters<typeof deploymentSpec>[1] = {}) => applicationSpec([deploymentSpec("D", options)]);

test("replicas that served are called while they come back, and then nothing is left to do", () => {
  const spec = app({ numReplicas: 2 });
  const recovered = new Recovered(recoverApplication(spec, [found(spec, "D", 0), found(spec, "D", 1)], START_MS));
  expect(recovered.did).toEqual([]);
  expect(recovered.states()).toEqual(["D#0 RECOVERING", "D#1 RECOVERING"]);
  expect(recovered.routed()).toEqual(["D#0", "D#1"]);
  recovered.comesBack("D#1");
  recovered.comesBack("D#0");
  expect(recovered.states()).toEqual(["D#0 RUNNING", "D#1 RUNNING"]);
  expect(recovered.did).toEqual([]);
  expect(recovered.state.deployments.get("D")).toMatchObject({
    status: "HEALTHY",
    replicas: [{ methods: ["fetch"] }, {}],
  });
});

test("one that does not come back is killed and replaced; one that is missing is started at once", () => {
  const spec = app({ numReplicas: 2 });
  const recovered = new Recovered(recoverApplication(spec, [found(spec, "D", 1)], START_MS));
  expect(recovered.did).toEqual(["start D#new0"]);
  recovered.wait(RECOVERY_MS - 1);
  expect(recovered.did).toEqual([]);
  recovered.wait(1);
  expect(recovered.did).toEqual(["kill D#1", "start D#new1"]);
  expect(recovered.state.deployments.get("D")!.message).toContain(`did not come back within ${RECOVERY_MS} ms`);
});

test("one that had not begun to serve is waited for, and not called", () => {
  const spec = app();
  const recovered = new Recovered(recoverApplication(spec, [found(spec, "D", 0, false)], START_MS));
  expect([recovered.states(), recovered.routed(), recovered.did]).toEqual([["D#0 STARTING"], [], []]);
  recovered.comesBack("D#0", { ready: undefined });
  expect(recovered.states()).toEqual(["D#0 STARTING"]);
  recovered.wait(10 * RECOVERY_MS);
  expect(recovered.did).toEqual([]);
  recovered.comesBack("D#0");
  expect(recovered.states()).toEqual(["D#0 RUNNING"]);
});

test("what the one before had not told everybody is told now", () => {
  const before = app({ userConfig: { at: 1 }, maxOngoingRequests: 5 });
  const spec = app({ userConfig: { at: 2 }, maxOngoingRequests: 5 });
  const recovered = new Recovered(recoverApplication(spec, [found(before, "D")], START_MS));
  expect(recovered.did).toEqual([]);
  recovered.comesBack("D#0", { userConfig: { value: { at: 1 } } });
  expect(recovered.did).toEqual(["reconfigure D#0"]);
});

test("an update that was under way is finished: older replicas are replaced one by one", () => {
  const before = app({ code: "old", numReplicas: 2 });
  const spec = app({ code: "new", numReplicas: 2 });
  const recovered = new Recovered(recoverApplication(spec, [found(before, "D", 0), found(spec, "D", 1)], START_MS));
  expect(recovered.did).toEqual(["start D#new0"]);
  recovered.comesBack("D#0");
  expect([recovered.did, recovered.routed()]).toEqual([[], ["D#0", "D#1"]]);
});

test("one that was told to stop goes on to", () => {
  const spec = app();
  const recovered = new Recovered(recoverApplication(spec, [found(spec, "D")], START_MS));
  recovered.comesBack("D#0", { isStopping: true });
  expect(recovered.states()).toEqual(["D#0 STOPPING", "D#new0 STARTING"]);
  expect(recovered.routed()).toEqual([]);
});

test("deployments that were on their way out go when nobody calls them", () => {
  const before = applicationSpec([
    deploymentSpec("Gone"),
    deploymentSpec("D", { initArgs: [new HandleReference("default", "Gone")] }),
  ]);
  const spec = app();
  const recovered = new Recovered(recoverApplication(spec, [found(before, "Gone"), found(before, "D")], START_MS));
  // The one that calls it is of the older version, and is replaced first.
  expect(recovered.did).toEqual(["start D#new0"]);
  recovered.tell("D#new0", { type: "ready", address: {}, methods: [] });
  expect(recovered.did).toEqual(["stop D#0"]);
  recovered.tell("D#0", { type: "exited", description: "" });
  expect(recovered.did).toEqual(["stop Gone#0"]);
});

test("of an application that was never reached nothing stays", () => {
  const spec = app();
  const recovered = new Recovered(recoverLeftovers("default", [found(spec, "D", 0, false)], START_MS));
  expect(recovered.did).toEqual(["stop D#0"]);
  expect(recovered.states()).toEqual(["D#0 STOPPING"]);
});

test("a deploy after it counts on", () => {
  const spec = app();
  const state = recoverApplication(spec, [found(spec, "D")], START_MS);
  const recovered = new Recovered(deployApplication(state, app({ code: "new" })));
  expect(recovered.did).toEqual(["start D#new0"]);
});
