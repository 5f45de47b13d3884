/** Where a replica listens. A caller uses the first way that it can reach. */
export interface ReplicaAddress {
  /** A replica in the same process, by its id in the memory engine. */
  readonly memory?: string;
  /** A worker thread of the process with this id: reached by a message port. */
  readonly threadOf?: number;
  /** A Unix socket on the same node. */
  readonly socketPath?: string;
}

/** One running replica, as callers see it. */
export interface ReplicaTarget {
  readonly replicaId: string;
  readonly nodeId: string;
  readonly address: ReplicaAddress;
  /** Models that the replica holds, as last announced. */
  readonly modelIds: readonly string[];
  /** What `recordRoutingStats` gave last. */
  readonly stats: Readonly<Record<string, unknown>>;
}

/** A user's class, function or routing policy is code: it travels as the place where it is defined, never as text. */
export interface CodeReference {
  /** URL of the module. */
  readonly module: string;
  /** Name of the class or function, and which of that name in the module. */
  readonly name: string;
  readonly ordinal: number;
  /** Stands for its text, for where in the module it was given to `deployment()`, and for the name that it was given there. */
  readonly mark?: string;
}

export type PolicyName = "power-of-two-choices" | "round-robin" | "consistent-hash";

/** In place of a deployment's name: the ingress of the application, whichever that is. "#" is not allowed in names. */
export const INGRESS = "#ingress";

/**
 * Everything that a caller needs to route to one deployment: immutable, replaced whole by a newer one.
 *
 * - `pending`: known, no replica has run yet: requests wait.
 * - `available`: requests are routed, or wait while `replicas` is empty.
 * - `failed`: it could not be deployed; requests fail at once with `DeploymentUnavailableError` and `message`.
 * - `gone`: unknown, or deleted; the same.
 */
export interface DeploymentSnapshot {
  readonly app: string;
  readonly deployment: string;
  /** Grows with each change; an older one that arrives late is ignored. */
  readonly version: number;
  readonly state: "pending" | "available" | "failed" | "gone";
  readonly message: string;
  readonly maxOngoingRequests: number;
  readonly maxQueuedRequests: number;
  readonly policy: PolicyName | CodeReference;
  /** In the order of their start. */
  readonly replicas: readonly ReplicaTarget[];
}
