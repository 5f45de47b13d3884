import { BackPressureError, DeploymentUnavailableError, ReplicaDiedError, ReplicaUnavailableError } from "../errors.ts";
import type { DeploymentSnapshot } from "./snapshot.ts";

/** Which deployment an error is about. */
export interface DeploymentName {
  readonly app: string;
  readonly deployment: string;
}

/** The deployment takes no requests; undefined if it does. Each call gets an error of its own, for each has its own stack. */
export function unavailable(snapshot: DeploymentSnapshot | undefined): DeploymentUnavailableError | undefined {
  if (snapshot === undefined) return undefined;
  const what = nameOf(snapshot).replace("d", "D");
  const reason = snapshot.message.trim().replace(/\.$/, "");
  switch (snapshot.state) {
    case "pending":
    case "available":
      return undefined;
    case "failed":
      return new DeploymentUnavailableError(
        `${what} could not be deployed${reason === "" ? "" : `: ${reason}`}. Mend the cause and run the application again.`,
      );
    case "gone":
      return new DeploymentUnavailableError(
        `${what} does not exist, or was deleted${reason === "" ? "" : ` (${reason})`}. Check both names, or run the application again.`,
      );
  }
}

/** The waiting line is full. */
export function backPressure(name: DeploymentName, queued: number, maxQueuedRequests: number): BackPressureError {
  return new BackPressureError(
    `The request to ${nameOf(name)} was not sent: ${queued} requests of this caller wait for it already, and maxQueuedRequests is ${maxQueuedRequests}. Retry later, or raise maxQueuedRequests, maxOngoingRequests or the number of replicas.`,
    { deployment: name.deployment, queued, maxQueuedRequests },
  );
}

/** The connection broke while the replica may have been running the call. */
export function replicaDied(name: DeploymentName, replicaId: string, cause: unknown): ReplicaDiedError {
  return new ReplicaDiedError(
    `Replica ${replicaId} of ${nameOf(name)} died while it had the request, which may have run in part: ${messageOf(cause)}. Call again if it may run twice.`,
    { replicaId, cause },
  );
}

/** A broadcast reached a replica that was about to stop. */
export function replicaStopping(name: DeploymentName, replicaId: string): ReplicaUnavailableError {
  return new ReplicaUnavailableError(
    `Replica ${replicaId} of ${nameOf(name)} is stopping and did not run the broadcast. Broadcast again to reach those that replace it.`,
  );
}

function nameOf({ app, deployment }: DeploymentName): string {
  return `deployment "${deployment}" of application "${app}"`;
}

function messageOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.trim().replace(/\.$/, "");
}
