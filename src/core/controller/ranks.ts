import { isServing, type DeploymentState, type ReplicaRecord } from "./deployment-state.ts";
import type { DeploymentTarget } from "./target.ts";

/** Who has one rank: at most one replica as it should be, and others whose place it takes. Replicas that stop have none. */
export interface RankHolders {
  readonly rank: number;
  readonly fresh: ReplicaRecord | undefined;
  readonly stale: readonly ReplicaRecord[];
}

/**
 * The holders of every rank from 0 to the last that is wanted or held.
 *
 * A successor has the rank of the replica whose place it takes, and fewer replicas means that the highest ranks go. So
 * ranks are contiguous at all times, no replica ever changes its own, and of one rank no two replicas run: the older
 * leaves in the step in which the newer is ready.
 */
export function rankHolders(state: DeploymentState): readonly RankHolders[] {
  const live = state.replicas.filter((replica) => replica.state !== "STOPPING");
  const count = Math.max(state.target.replicas, ...live.map((replica) => replica.rank + 1));
  return Array.from({ length: count }, (_, rank) => {
    const here = live.filter((replica) => replica.rank === rank);
    const fresh = here.find((replica) => fitness(replica, state.target) !== "replace");
    return { rank, fresh, stale: here.filter((replica) => replica !== fresh) };
  });
}

/** What it takes to make a live replica one of the target. */
export function fitness(replica: ReplicaRecord, target: DeploymentTarget): "same" | "reconfigure" | "replace" {
  if (replica.generation !== target.generation) return "replace";
  if (isServing(replica) && replica.condition.kind !== "fit") return "replace";
  if (replica.told.configuration !== target.configuration) {
    // No message takes a userConfig back; only a new replica has none.
    return target.spec.options.userConfig === undefined ? "replace" : "reconfigure";
  }
  return knowsLimits(replica, target) ? "same" : "reconfigure";
}

function knowsLimits(replica: ReplicaRecord, target: DeploymentTarget): boolean {
  const { live } = replica.told;
  const { options } = target.spec;
  return (
    live.maxOngoingRequests === options.maxOngoingRequests &&
    live.gracefulShutdownTimeoutMs === options.gracefulShutdownTimeoutMs &&
    live.gracefulShutdownWaitLoopMs === options.gracefulShutdownWaitLoopMs &&
    live.worldSize === target.replicas
  );
}
