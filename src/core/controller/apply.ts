import {
  EXIT_TIMEOUT_MS,
  isServing,
  stoppingReplica,
  withReplica,
  type DeploymentState,
  type ReplicaRecord,
} from "./deployment-state.ts";
import { checkSent } from "./health.ts";
import type { Action, Moment } from "./reconcile.ts";
import { liveOptionsOf } from "./target.ts";

/** What is known once an action is on its way. Whether it succeeds will be observed. */
export function apply(state: DeploymentState, action: Action, moment: Moment): DeploymentState {
  if (action.type === "start") return started(state, action, moment);
  const replica = state.replicas.find((each) => each.replicaId === action.replicaId);
  if (replica === undefined) return state;
  switch (action.type) {
    case "stop":
      return withReplica(state, stoppingReplica(replica, moment.nowMs + action.timeoutMs + EXIT_TIMEOUT_MS));
    case "kill":
      return withReplica(state, stoppingReplica(replica, moment.nowMs, true));
    case "check-health":
      return isServing(replica)
        ? withReplica(state, { ...replica, health: checkSent(replica.health, state.target.spec.options, moment.nowMs) })
        : state;
    case "reconfigure":
      return isServing(replica)
        ? withReplica(state, {
            ...replica,
            state: "UPDATING",
            tellings: action.id,
            told: { live: action.options, configuration: action.configuration },
          })
        : state;
  }
}

function started(state: DeploymentState, action: Extract<Action, { type: "start" }>, moment: Moment): DeploymentState {
  const { target, replicaId, rank } = action;
  const replica: ReplicaRecord = {
    state: "STARTING",
    replicaId,
    rank,
    generation: target.generation,
    callees: target.callees,
    startedMs: moment.nowMs,
    startedWallMs: moment.wallNowMs,
    told: { live: liveOptionsOf(target), configuration: target.configuration },
  };
  return { ...state, replicas: [...state.replicas, replica] };
}
