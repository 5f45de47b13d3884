/** One replica with a free place, as a routing policy of the user's sees it. */
export interface ReplicaCandidate {
  readonly replicaId: string;
  readonly nodeId: string;
  /** Requests running there: this caller's exactly, others' as last reported. */
  readonly ongoing: number;
  readonly capacity: number;
  /** Models that the replica announced, and those that this caller has just sent it. */
  readonly multiplexedModelIds: ReadonlySet<string>;
  /** What `recordRoutingStats` gave last. */
  readonly stats: Readonly<Record<string, unknown>>;
}

/** The request that a routing policy places. */
export interface RoutedRequest {
  requestId: string;
  method: string;
  multiplexedModelId: string;
  sessionId: string;
  args: readonly unknown[];
  /** Uniform in [0, 1). */
  random(): number;
}

/**
 * Picks one of the candidates, in the order of their start, or `null`: the request waits until a place becomes free or
 * the replicas change. Pure and synchronous.
 */
export type RouterPolicy = (candidates: readonly ReplicaCandidate[], request: RoutedRequest) => ReplicaCandidate | null;
