import { isServing, type DeploymentState, type ReplicaRecord } from "./deployment-state.ts";
import type { RankHolders } from "./ranks.ts";
import type { DeploymentTarget } from "./target.ts";

/** How many replicas may be replaced, or run `reconfigure(userConfig)`, at a time: at least one. */
export function rolloutWidth(target: DeploymentTarget): number {
  return Math.max(1, Math.ceil(target.spec.options.rollingUpdatePercentage * target.replicas));
}

/**
 * The replicas that are to stop now, because others have taken their place or are about to.
 *
 * What serves leaves only when its successor runs. What has not begun to serve helps nobody and leaves at once.
 */
export function superseded(state: DeploymentState, ranks: readonly RankHolders[]): readonly ReplicaRecord[] {
  return ranks.flatMap(({ rank, fresh, stale }) => {
    if (rank >= state.target.replicas)
      return [
        ...(fresh === undefined ? [] : [fresh]),
        ...stale.filter((replica) => !isServing(replica) || !isNeededBeyondTarget(state)),
      ];
    if (fresh !== undefined && isServing(fresh)) return stale;
    return stale.filter((replica) => !isServing(replica));
  });
}

/**
 * The ranks in which a replica is to be started now.
 *
 * A rank without a serving replica is filled when its back-off is over. A rank with one that is to be replaced waits
 * for room, and its predecessor takes up room until it has drained, so a rollout never holds more than its width in
 * processes beyond the target.
 */
export function ranksToStart(
  state: DeploymentState,
  ranks: readonly RankHolders[],
  seen: { stopping: number; nowMs: number },
): readonly number[] {
  const wanted = ranks.filter(({ rank }) => rank < state.target.replicas);
  const overlapping = wanted.filter(
    ({ fresh, stale }) => fresh !== undefined && !isServing(fresh) && stale.some(isServing),
  ).length;
  let room = rolloutWidth(state.target) - overlapping - seen.stopping;
  const chosen: number[] = [];
  for (const { rank, fresh, stale } of wanted) {
    if (fresh !== undefined || (state.failuresByRank.get(rank)?.retryAtMs ?? 0) > seen.nowMs) continue;
    const replaces = stale.some(isServing);
    if (replaces && room <= 0) continue;
    if (replaces) room -= 1;
    chosen.push(rank);
  }
  return chosen;
}

/** A smaller new version may still fail: until a replica of it has run, the old one keeps all it has. */
function isNeededBeyondTarget(state: DeploymentState): boolean {
  return state.target.replicas > 0 && !state.ranGenerations.has(state.target.generation);
}
