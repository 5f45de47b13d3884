import type { DeploymentSnapshot, ReplicaTarget } from "../router/snapshot.ts";
import { structurallyEqual } from "../deployment/structural-equality.ts";
import { isServing, type DeploymentState } from "./deployment-state.ts";

/** A snapshot without its version: two that are equal need not be sent twice. */
export type SnapshotContent = Omit<DeploymentSnapshot, "version">;

/**
 * What callers are to know of a deployment.
 *
 * `failure` is why its whole application is being removed, if that is so: then nobody may wait for it any longer.
 */
export function snapshotOf(
  state: DeploymentState,
  seen: { nodeId: string; failure: string | undefined },
): SnapshotContent {
  const { target } = state;
  const replicas = state.replicas.filter(isServing).map((replica): ReplicaTarget => ({
    replicaId: replica.replicaId,
    nodeId: seen.nodeId,
    address: replica.address,
    modelIds: replica.modelIds,
    stats: replica.stats,
  }));
  return {
    app: target.app,
    deployment: target.spec.name,
    ...situation(state, { running: replicas.length, failure: seen.failure }),
    maxOngoingRequests: target.spec.options.maxOngoingRequests,
    maxQueuedRequests: target.spec.options.maxQueuedRequests,
    policy: target.spec.options.policy,
    replicas,
  };
}

/** What callers are to know of a deployment that does not exist; `siblings` are those of its application, undefined if there is no such application. */
export function missingSnapshot(
  app: string,
  deployment: string,
  siblings: readonly string[] | undefined,
): SnapshotContent {
  const message =
    siblings === undefined
      ? `There is no application "${app}"; it was not deployed, or was deleted.`
      : `There is no deployment "${deployment}" in application "${app}"; it has ${siblings.map((name) => `"${name}"`).join(", ") || "none"}.`;
  return {
    app,
    deployment,
    state: "gone",
    message,
    maxOngoingRequests: 1,
    maxQueuedRequests: -1,
    policy: "power-of-two-choices",
    replicas: [],
  };
}

/** Whether callers would notice no difference. */
export function sameContent(left: SnapshotContent, right: SnapshotContent): boolean {
  return structurallyEqual({ ...left, version: 0 }, { ...right, version: 0 });
}

function situation(
  state: DeploymentState,
  seen: { running: number; failure: string | undefined },
): Pick<DeploymentSnapshot, "state" | "message"> {
  const { app, spec } = state.target;
  if (state.mode === "stopping" || (state.mode === "lingering" && seen.running === 0)) {
    if (seen.failure !== undefined) return { state: "failed", message: seen.failure };
    return { state: "gone", message: `Deployment "${spec.name}" of application "${app}" was deleted.` };
  }
  if (state.hasRun) return { state: "available", message: "" };
  return state.gaveUp ? { state: "failed", message: state.message } : { state: "pending", message: state.message };
}
