import type { Clock } from "../contracts/clock.ts";
import type { ContextStore } from "../contracts/context-store.ts";
import type { Log } from "../contracts/log.ts";
import type { RequestScope } from "../handle/context.ts";
import type { ReplicaModels } from "./replica-models.ts";
import type { ReplicaIdentity } from "./replica.ts";

/** What a replica offers to code in it that was given nothing, such as a batched function. */
export interface ReplicaFacilities {
  readonly clock: Clock;
  readonly log: Log;
  readonly models: ReplicaModels;
  /** As it is now: it changes without a restart. */
  readonly maxOngoingRequests: number;
}

/** Where `batch` and `multiplexed` are called: users import them, so the composition root binds them to this. */
export interface Workplace {
  /** For code outside of replicas. A pending timer keeps the process alive: somebody waits for what it will do. */
  readonly clock: Clock;
  readonly log: Log;
  readonly contexts: ContextStore<RequestScope>;
  readonly residence: ContextStore<ReplicaIdentity>;
  /** By the replica's identity, of all replicas that run here. */
  readonly facilities: WeakMap<ReplicaIdentity, ReplicaFacilities>;
  /** The replica whose code is running, if any. */
  identity(): ReplicaIdentity | undefined;
}

/**
 * One of something for each replica whose code asks for it, and one for code outside of replicas: where replicas share
 * a process, what stands at the top of a module must not make them share what they would not share elsewhere.
 */
export class PerReplica<T> {
  readonly #make: (identity: ReplicaIdentity | undefined) => T;
  readonly #made = new WeakMap<ReplicaIdentity, T>();
  #outside: T | undefined = undefined;

  constructor(make: (identity: ReplicaIdentity | undefined) => T) {
    this.#make = make;
  }

  of(identity: ReplicaIdentity | undefined): T {
    if (identity === undefined) return (this.#outside ??= this.#make(undefined));
    let found = this.#made.get(identity);
    if (found === undefined) this.#made.set(identity, (found = this.#make(identity)));
    return found;
  }
}

/** Runs user code for a replica, and for the requests behind `scope` if there are any, in none of the stores of those requests' own code. */
export function runAt<T>(
  place: Workplace,
  at: { identity: ReplicaIdentity | undefined; scope: RequestScope | undefined },
  fn: () => T,
): T {
  const { contexts, residence } = place;
  return contexts.call(at.scope, residence.run<T>, residence, [at.identity, fn]) as T;
}
