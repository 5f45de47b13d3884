import type { ApplicationSpec } from "../deployment/spec.ts";
import { apply } from "./apply.ts";
import { newDeployment, retarget, rollBack, type DeploymentMode, type DeploymentState } from "./deployment-state.ts";
import type { Failure } from "./failure.ts";
import { elapse, observe, type ReplicaEvent } from "./observe.ts";
import { isSettled, nextDeadlineMs, reconcile, type Action, type Moment } from "./reconcile.ts";
import { nextStatus, type ApplicationPhase } from "./status.ts";
import { nextTarget, type DeploymentTarget } from "./target.ts";

/** Everything known about one application. Immutable. */
export interface ApplicationState {
  readonly spec: ApplicationSpec;
  readonly phase: ApplicationPhase;
  readonly deployments: ReadonlyMap<string, DeploymentState>;
  /** The last deploy that was reached: what a failed update goes back to. */
  readonly reached: ReachedTargets | undefined;
  /** Why the last deploy failed. */
  readonly failure: DeployFailure | undefined;
  /** How many deploys there were; numbers new generations. */
  readonly deploys: number;
}

export interface ReachedTargets {
  readonly spec: ApplicationSpec;
  readonly targets: ReadonlyMap<string, DeploymentTarget>;
}

/** Which deployment could not be deployed, and why. */
export interface DeployFailure {
  readonly deployment: string;
  readonly failure: Failure;
  readonly message: string;
}

/** Something to do for one deployment of the application. */
export interface DeploymentAction {
  readonly deployment: string;
  readonly action: Action;
}

/** Something that was learnt about a replica of the application. */
export interface ReplicaObservation {
  readonly deployment: string;
  readonly replicaId: string;
  readonly event: ReplicaEvent;
}

/** Sets what an application should be. Deployments that it no longer has stay until all others have changed. */
export function deployApplication(before: ApplicationState | undefined, spec: ApplicationSpec): ApplicationState {
  const deploys = (before?.deploys ?? 0) + 1;
  const deployments = new Map(before?.deployments);
  for (const each of spec.deployments) {
    const state = before?.deployments.get(each.name);
    const known = [state?.target, before?.reached?.targets.get(each.name)].filter((target) => target !== undefined);
    const target = nextTarget(each, { app: spec.name, known, unused: deploys });
    deployments.set(each.name, state === undefined ? newDeployment(target) : retarget(state, target));
  }
  return { spec, phase: "deploying", deployments, reached: before?.reached, failure: undefined, deploys };
}

/** Sets that nothing of the application should be left. Each deployment goes when those that call it are gone. */
export function deleteApplication(app: ApplicationState): ApplicationState {
  const deployments = mapValues(app.deployments, (state) => withMode(state, "lingering"));
  return { ...app, phase: "deleting", deployments };
}

/** What is known of the application after an event of one of its replicas. */
export function observeReplica(app: ApplicationState, seen: ReplicaObservation, nowMs: number): ApplicationState {
  const state = app.deployments.get(seen.deployment);
  if (state === undefined) return app;
  const deployments = new Map(app.deployments).set(
    seen.deployment,
    observe(state, seen.replicaId, { event: seen.event, nowMs }),
  );
  return { ...app, deployments };
}

/** Takes what is due at this moment as far as it goes without further events. */
export function stepApplication(
  app: ApplicationState,
  moment: Moment,
): { app: ApplicationState; actions: readonly DeploymentAction[] } {
  const actions: DeploymentAction[] = [];
  let next = { ...app, deployments: mapValues(app.deployments, (state) => elapse(state, moment.nowMs)) };
  for (;;) {
    next = releaseUncalled(settleFailure(next));
    const deployments = new Map<string, DeploymentState>();
    for (const [name, state] of next.deployments) {
      const due = reconcile(state, moment);
      actions.push(...due.map((action) => ({ deployment: name, action })));
      const after = due.reduce((each, action) => apply(each, action, moment), state);
      if (after.mode !== "stopping" || after.replicas.length > 0)
        deployments.set(name, isSettled(after) ? settled(after) : after);
    }
    next = { ...next, deployments };
    if (next.phase !== "deploying" || !isReached(next)) return { app: next, actions };
    next = reach(next);
  }
}

/** When the application has something to do without any event, or Infinity. */
export function applicationDeadlineMs(app: ApplicationState, nowMs: number): number {
  return Math.min(Infinity, ...[...app.deployments.values()].map((state) => nextDeadlineMs(state, nowMs)));
}

function isReached(app: ApplicationState): boolean {
  return app.spec.deployments.every(({ name }) => {
    const state = app.deployments.get(name);
    return state !== undefined && isSettled(state);
  });
}

function reach(app: ApplicationState): ApplicationState {
  const names = new Set(app.spec.deployments.map(({ name }) => name));
  const targets = new Map(
    [...app.deployments].filter(([name]) => names.has(name)).map(([name, state]) => [name, state.target]),
  );
  const deployments = mapValues(app.deployments, (state, name) =>
    names.has(name) ? state : withMode(state, "lingering"),
  );
  return { ...app, phase: "running", deployments, reached: { spec: app.spec, targets } };
}

/**
 * If one deployment has given up, the whole deploy has failed: an update goes back in every deployment, so that old
 * and new versions that were not made for each other do not stay together; a first deploy is removed.
 */
function settleFailure(app: ApplicationState): ApplicationState {
  if (app.phase !== "deploying") return app;
  const failed = app.spec.deployments.map(({ name }) => app.deployments.get(name)).find((state) => state?.gaveUp);
  if (failed?.lastFailure === undefined) return app;
  const failure = { deployment: failed.target.spec.name, failure: failed.lastFailure, message: failed.message };
  if (app.reached === undefined) return deleteApplication({ ...app, failure });
  const { spec, targets } = app.reached;
  const deployments = mapValues(app.deployments, (state, name) => {
    const target = targets.get(name);
    return target === undefined ? withMode(state, "lingering") : rollBack(state, target);
  });
  return { ...app, spec, phase: "running", deployments, failure };
}

/**
 * Lets a deployment that is no longer wanted stop when no replica is left that was made with a handle to it, so that
 * requests which drain can still make their calls.
 */
function releaseUncalled(app: ApplicationState): ApplicationState {
  const states = [...app.deployments.values()];
  const isCalled = (name: string) =>
    states.some(
      ({ target, replicas }) => target.spec.name !== name && replicas.some(({ callees }) => callees.includes(name)),
    );
  const deployments = mapValues(app.deployments, (state, name) =>
    state.mode === "lingering" && !isCalled(name) ? withMode(state, "stopping") : state,
  );
  return { ...app, deployments };
}

function withMode(state: DeploymentState, mode: DeploymentMode): DeploymentState {
  // What already stops is not called back to linger.
  return state.mode === "stopping" ? state : { ...state, mode };
}

function settled(state: DeploymentState): DeploymentState {
  const status = nextStatus(state.status, "settled");
  return { ...state, status, message: status === "HEALTHY" ? "" : state.message };
}

function mapValues<T>(map: ReadonlyMap<string, T>, change: (value: T, key: string) => T): ReadonlyMap<string, T> {
  return new Map([...map].map(([key, value]) => [key, change(value, key)]));
}
