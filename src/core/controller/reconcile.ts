import type { LiveOptions } from "../contracts/control-messages.ts";
import { isServing, type DeploymentState, type ReplicaRecord, type ServingReplica } from "./deployment-state.ts";
import { fitness, rankHolders } from "./ranks.ts";
import { ranksToStart, rolloutWidth, superseded } from "./rollout.ts";
import { liveOptionsOf, type DeploymentTarget } from "./target.ts";

/** One thing to do, towards one replica. */
export type Action =
  | { readonly type: "start"; readonly replicaId: string; readonly rank: number; readonly target: DeploymentTarget }
  | { readonly type: "stop"; readonly replicaId: string; readonly timeoutMs: number; readonly reason: string }
  | { readonly type: "kill"; readonly replicaId: string; readonly reason: string }
  | { readonly type: "check-health"; readonly replicaId: string; readonly id: number }
  | {
      readonly type: "reconfigure";
      readonly replicaId: string;
      readonly id: number;
      readonly options: LiveOptions;
      readonly configuration: number;
      readonly userConfig?: { readonly value: unknown };
    };

/** Time and names, as the outside gives them. */
export interface Moment {
  readonly nowMs: number;
  readonly wallNowMs: number;
  newReplicaId(deployment: string): string;
}

/**
 * Says what to do next to bring a deployment to its target. When that is done, or noted as begun, there is nothing to do
 * until an event or the next deadline.
 */
export function reconcile(state: DeploymentState, moment: Moment): readonly Action[] {
  switch (state.mode) {
    case "stopping":
      return [...killOverdue(state, moment), ...stopSick(state), ...stopAll(state)];
    case "lingering":
      // A successor that was on its way may still become ready: then two would have one rank.
      return [
        ...killOverdue(state, moment),
        ...stopSick(state),
        ...checkHealth(state, moment),
        ...stopSuperseded(state),
      ];
    case "serving":
      return [
        ...killOverdue(state, moment),
        ...stopSick(state),
        ...checkHealth(state, moment),
        ...(state.gaveUp ? [] : approach(state, moment)),
      ];
  }
}

/**
 * Whether the target is reached: every rank has a replica that runs and knows the options, and no other serves. Replicas
 * that drain may be left.
 */
export function isSettled(state: DeploymentState): boolean {
  if (state.mode !== "serving" || state.gaveUp) return false;
  return rankHolders(state).every(
    ({ rank, fresh, stale }) =>
      rank < state.target.replicas &&
      fresh?.state === "RUNNING" &&
      stale.length === 0 &&
      fitness(fresh, state.target) === "same",
  );
}

/** When something is due without any event, or Infinity. */
export function nextDeadlineMs(state: DeploymentState, nowMs: number): number {
  let deadlineMs = Infinity;
  for (const replica of state.replicas) {
    if (replica.state === "STOPPING" && !replica.killed) deadlineMs = Math.min(deadlineMs, replica.killAtMs);
    if (isServing(replica))
      deadlineMs = Math.min(
        deadlineMs,
        replica.health.kind === "resting" ? replica.health.checkAtMs : replica.health.missAtMs,
      );
  }
  if (state.mode !== "serving" || state.gaveUp) return deadlineMs;
  for (const { rank, fresh } of rankHolders(state)) {
    const retryAtMs = state.failuresByRank.get(rank)?.retryAtMs ?? 0;
    if (fresh === undefined && rank < state.target.replicas && retryAtMs > nowMs)
      deadlineMs = Math.min(deadlineMs, retryAtMs);
  }
  return deadlineMs;
}

function approach(state: DeploymentState, moment: Moment): readonly Action[] {
  const ranks = rankHolders(state);
  const leaving = stopSuperseded(state);
  const stops = new Set(leaving.map(({ replicaId }) => replicaId));
  const stopping =
    state.replicas.filter((replica) => replica.state === "STOPPING" || isSick(replica)).length + stops.size;
  const remaining = ranks.map((holders) => ({
    ...holders,
    stale: holders.stale.filter((replica) => !isSick(replica) && !stops.has(replica.replicaId)),
  }));
  const starts = ranksToStart(state, remaining, { stopping, nowMs: moment.nowMs });
  return [
    ...leaving,
    ...starts.map((rank): Action => ({
      type: "start",
      replicaId: moment.newReplicaId(state.target.spec.name),
      rank,
      target: state.target,
    })),
    ...reconfigurations(state, stops),
  ];
}

/** New limits go to all at once; a new `userConfig` runs the user's code, so only to as many at a time as a rollout replaces. */
function reconfigurations(state: DeploymentState, stops: ReadonlySet<string>): readonly Action[] {
  const { target } = state;
  const { userConfig } = target.spec.options;
  let room = rolloutWidth(target) - state.replicas.filter((replica) => replica.state === "UPDATING").length;
  const actions: Action[] = [];
  for (const replica of state.replicas) {
    if (replica.state !== "RUNNING" || stops.has(replica.replicaId) || fitness(replica, target) !== "reconfigure")
      continue;
    const tell = {
      type: "reconfigure",
      replicaId: replica.replicaId,
      id: replica.tellings + 1,
      options: liveOptionsOf(target),
      configuration: target.configuration,
    } as const;
    if (userConfig === undefined || replica.told.configuration === target.configuration) {
      actions.push(tell);
    } else if (room > 0) {
      room -= 1;
      actions.push({ ...tell, userConfig });
    }
  }
  return actions;
}

function stopSuperseded(state: DeploymentState): readonly Action[] {
  return superseded(state, rankHolders(state))
    .filter((replica) => !isSick(replica))
    .map((replica) => stopOf(state, replica, "another replica has taken its place, or fewer are wanted"));
}

function stopAll(state: DeploymentState): readonly Action[] {
  return state.replicas
    .filter((replica) => replica.state !== "STOPPING" && !isSick(replica))
    .map((replica) => stopOf(state, replica, "its deployment was removed"));
}

function stopSick(state: DeploymentState): readonly Action[] {
  return state.replicas.filter(isServing).flatMap((replica) => leaveOfSick(state, replica));
}

function leaveOfSick(state: DeploymentState, replica: ServingReplica): readonly Action[] {
  const { condition } = replica;
  if (condition.kind !== "sick") return [];
  // What does not even answer cannot drain; waiting would only hold its memory.
  return condition.hung
    ? [{ type: "kill", replicaId: replica.replicaId, reason: condition.reason }]
    : [stopOf(state, replica, condition.reason)];
}

function isSick(replica: ReplicaRecord): boolean {
  return isServing(replica) && replica.condition.kind === "sick";
}

function checkHealth(state: DeploymentState, moment: Moment): readonly Action[] {
  return state.replicas
    .filter(isServing)
    .filter(
      ({ health, condition }) =>
        condition.kind !== "sick" && health.kind === "resting" && health.checkAtMs <= moment.nowMs,
    )
    .map(({ replicaId, health }) => ({ type: "check-health", replicaId, id: health.checks + 1 }));
}

function killOverdue(state: DeploymentState, moment: Moment): readonly Action[] {
  return state.replicas
    .filter((replica) => replica.state === "STOPPING" && !replica.killed && replica.killAtMs <= moment.nowMs)
    .map(({ replicaId }) => ({ type: "kill", replicaId, reason: "its time to stop is over" }));
}

/** A replica that never served has nothing to finish. */
function stopOf(state: DeploymentState, replica: ReplicaRecord, reason: string): Action {
  const timeoutMs = isServing(replica) ? state.target.spec.options.gracefulShutdownTimeoutMs : 0;
  return { type: "stop", replicaId: replica.replicaId, timeoutMs, reason };
}
