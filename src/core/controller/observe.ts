import type { ReplicaMessage } from "../contracts/control-messages.ts";
import { HeliostatError } from "../errors.ts";
import {
  EXIT_TIMEOUT_MS,
  isServing,
  servingReplica,
  stoppingReplica,
  withReplica,
  type Condition,
  type DeploymentState,
  type ReplicaRecord,
  type ServingReplica,
  type StartingReplica,
} from "./deployment-state.ts";
import { describeFailure, messageOf, type Failure } from "./failure.ts";
import { checkAnswered, checkOverdue, MAX_MISSES, newHealth, type Health } from "./health.ts";
import { afterFailedStart, afterLoss, giveUp } from "./losses.ts";
import { recovered, RECOVERY_MS } from "./recover-replica.ts";

/** What can be learnt about a replica: what it says about itself, and that its process has ended. */
export type ReplicaEvent =
  | Extract<
      ReplicaMessage,
      { type: "ready" | "failed" | "recovered" | "reconfigured" | "health" | "models" | "routing-stats" | "worn-out" }
    >
  | { readonly type: "exited"; readonly description: string };

/**
 * What is known after an event. An event that comes too late to matter, such as `ready` from a replica that was told to
 * stop, changes nothing.
 */
export function observe(
  state: DeploymentState,
  replicaId: string,
  seen: { event: ReplicaEvent; nowMs: number },
): DeploymentState {
  const { event, nowMs } = seen;
  const replica = state.replicas.find((each) => each.replicaId === replicaId);
  if (replica === undefined) return state;
  switch (event.type) {
    case "ready":
      return replica.state === "STARTING" ? ready(state, replica, { event, nowMs }) : state;
    case "failed":
      return replica.state === "STARTING" ? failed(state, replica, { failure: event, nowMs }) : state;
    case "recovered":
      return recovered(state, replica, { report: event, nowMs });
    case "exited":
      return exited(state, replica, { description: event.description, nowMs });
    case "reconfigured":
      return replica.state === "UPDATING" && replica.tellings === event.id
        ? reconfigured(state, replica, event)
        : state;
    case "health":
      return isServing(replica) ? answered(state, replica, { event, nowMs }) : state;
    case "models":
      return isServing(replica) ? withReplica(state, { ...replica, modelIds: event.modelIds }) : state;
    case "routing-stats":
      return isServing(replica) ? withReplica(state, { ...replica, stats: event.stats }) : state;
    case "worn-out":
      return isServing(replica) && replica.condition.kind === "fit"
        ? withReplica(state, { ...replica, condition: { kind: "worn", reason: event.reason } })
        : state;
  }
}

/** What is known when time has passed: health checks whose answer is overdue count as missed. */
export function elapse(state: DeploymentState, nowMs: number): DeploymentState {
  let next = state;
  for (const replica of state.replicas) {
    if (!isServing(replica) || replica.condition.kind === "sick") continue;
    const health = checkOverdue(replica.health, nowMs);
    if (health === replica.health) continue;
    if (replica.state === "RECOVERING") {
      const reason = `it did not come back within ${RECOVERY_MS} ms to the controller that has taken over`;
      next = foundSick(next, replica, { reason, hung: true, nowMs });
      continue;
    }
    const timeoutMs = state.target.spec.options.healthCheckTimeoutMs;
    next = judged(
      next,
      { ...replica, health },
      { nowMs, hung: true, reason: `it did not answer within ${timeoutMs} ms` },
    );
  }
  return next;
}

function ready(
  state: DeploymentState,
  replica: StartingReplica,
  seen: { event: Extract<ReplicaEvent, { type: "ready" }>; nowMs: number },
): DeploymentState {
  const { nowMs, event } = seen;
  const health = newHealth(state.target.spec.options, nowMs);
  return {
    ...withReplica(state, servingReplica(replica, event, { health, nowMs })),
    hasRun: true,
    ranGenerations: new Set([...state.ranGenerations, replica.generation]),
  };
}

function failed(
  state: DeploymentState,
  replica: StartingReplica,
  seen: { failure: Failure; nowMs: number },
): DeploymentState {
  const { phase, error } = seen.failure;
  const leaving = withReplica(state, stoppingReplica(replica, seen.nowMs + EXIT_TIMEOUT_MS));
  return afterFailedStart(leaving, replica, { failure: { phase, error }, nowMs: seen.nowMs });
}

function exited(
  state: DeploymentState,
  replica: ReplicaRecord,
  seen: { description: string; nowMs: number },
): DeploymentState {
  const without = { ...state, replicas: state.replicas.filter((each) => each !== replica) };
  switch (replica.state) {
    case "STARTING": {
      const error = new HeliostatError(`Replica ${replica.replicaId}: ${seen.description}`);
      return afterFailedStart(without, replica, { failure: { phase: "exit", error }, nowMs: seen.nowMs });
    }
    case "RUNNING":
    case "UPDATING":
    case "RECOVERING":
      return replica.condition.kind === "sick"
        ? without
        : afterLoss(without, replica, { reason: seen.description, nowMs: seen.nowMs });
    case "STOPPING":
      return without;
  }
}

function answered(
  state: DeploymentState,
  replica: ServingReplica,
  seen: { event: Extract<ReplicaEvent, { type: "health" }>; nowMs: number },
): DeploymentState {
  if (replica.condition.kind === "sick") return state;
  const { id, error } = seen.event;
  const failing = "error" in seen.event && error !== undefined;
  const health = checkAnswered(replica.health, { id, failed: failing }, state.target.spec.options);
  return judged(
    state,
    { ...replica, health },
    { nowMs: seen.nowMs, hung: false, reason: `checkHealth() threw: ${messageOf(error)}` },
  );
}

/** Keeps the new health, or finds the replica sick if it has missed too often. */
function judged(
  state: DeploymentState,
  replica: ServingReplica,
  verdict: { nowMs: number; hung: boolean; reason: string },
): DeploymentState {
  const health: Health = replica.health;
  if (health.misses < MAX_MISSES) return withReplica(state, replica);
  const reason = `it failed ${health.misses} health checks in a row, in the last one ${verdict.reason}`;
  return foundSick(state, replica, { ...verdict, reason });
}

function foundSick(
  state: DeploymentState,
  replica: ServingReplica,
  { reason, hung, nowMs }: { reason: string; hung: boolean; nowMs: number },
): DeploymentState {
  const sick: Condition = { kind: "sick", hung, reason };
  return afterLoss(withReplica(state, { ...replica, condition: sick }), replica, { reason, nowMs });
}

/** A replica whose `reconfigure()` threw is in no known condition: it serves on until another can take its place. */
function reconfigured(
  state: DeploymentState,
  replica: ServingReplica,
  event: Extract<ReplicaEvent, { type: "reconfigured" }>,
): DeploymentState {
  if (!("error" in event) || event.error === undefined) return withReplica(state, { ...replica, state: "RUNNING" });
  const failure: Failure = { phase: "reconfigure", error: event.error };
  const worn = withReplica(state, {
    ...replica,
    state: "RUNNING",
    condition: { kind: "worn", reason: describeFailure(failure) },
  });
  // Of an older configuration it says nothing about the target; after a roll-back there is nothing left to go back to.
  const tellsOfTarget =
    replica.told.configuration === state.target.configuration && state.mode === "serving" && !state.rolledBack;
  return tellsOfTarget ? giveUp(worn, failure) : worn;
}
