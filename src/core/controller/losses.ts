import { afterFailure, startAttempts } from "./backoff.ts";
import type { DeploymentState, ServingReplica, StartingReplica } from "./deployment-state.ts";
import { describeFailure, type Failure } from "./failure.ts";
import { nextStatus } from "./status.ts";

/** A failed start counts towards giving up only while the version has never run; afterwards it is a crash to be made good. */
export function afterFailedStart(
  state: DeploymentState,
  replica: StartingReplica,
  seen: { failure: Failure; nowMs: number },
): DeploymentState {
  const { target } = state;
  if (state.mode !== "serving" || state.gaveUp || replica.generation !== target.generation) return state;
  // The user's own error says more than how a process ended.
  const lastFailure =
    seen.failure.phase === "exit" && state.lastFailure !== undefined ? state.lastFailure : seen.failure;
  const reason = `Replica ${replica.replicaId} could not be started: ${describeFailure(seen.failure)}`;
  if (state.ranGenerations.has(target.generation)) {
    return {
      ...withRankFailure(state, replica.rank, { ranForMs: 0, nowMs: seen.nowMs }),
      lastFailure,
      message: shownMessage(state, reason),
    };
  }
  const startFailures = state.startFailures + 1;
  const attempts = startAttempts(target.replicas, target.spec.options.maxConstructorRetryCount);
  // Code that is not there will not be there at the next attempt.
  const hopeless = seen.failure.phase === "load" || startFailures >= attempts;
  if (hopeless) return { ...giveUp(state, lastFailure), startFailures };
  return { ...state, startFailures, lastFailure, message: `${reason} (attempt ${startFailures} of ${attempts})` };
}

/** A replica that served is lost: its rank is to be filled again. */
export function afterLoss(
  state: DeploymentState,
  replica: ServingReplica,
  seen: { reason: string; nowMs: number },
): DeploymentState {
  if (state.mode !== "serving") return state;
  return {
    ...withRankFailure(state, replica.rank, { ranForMs: seen.nowMs - replica.readyMs, nowMs: seen.nowMs }),
    status: nextStatus(state.status, "lost"),
    message: shownMessage(state, `Replica ${replica.replicaId} was lost: ${seen.reason}`),
  };
}

/** The target cannot be reached. */
export function giveUp(state: DeploymentState, failure: Failure): DeploymentState {
  const name = state.target.spec.name;
  return {
    ...state,
    gaveUp: true,
    lastFailure: failure,
    status: nextStatus(state.status, "gave-up"),
    message: `Deployment "${name}" could not be deployed: ${describeFailure(failure)}`,
  };
}

function withRankFailure(
  state: DeploymentState,
  rank: number,
  seen: { ranForMs: number; nowMs: number },
): DeploymentState {
  const failure = afterFailure(state.failuresByRank.get(rank), seen.ranForMs, seen.nowMs);
  return { ...state, failuresByRank: new Map([...state.failuresByRank, [rank, failure]]) };
}

/** The reason of a failed update outranks what befalls the old version afterwards. */
function shownMessage(state: DeploymentState, message: string): string {
  return state.status === "DEPLOY_FAILED" ? state.message : message;
}
