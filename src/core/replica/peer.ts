import type { IncomingCall } from "./incoming-call.ts";

/** One caller of a replica, as the replica counts it. The session behind it makes one for each connected process. */
export interface Peer {
  /** Calls of this caller that run now; kept by the replica. */
  ongoing: number;
  /** Whether it was refused for want of a place and is to be told of the next; kept by the replica. */
  waiting: boolean;
  /** Its calls that have no outcome yet. */
  calls(): readonly IncomingCall[];
  /** Tells it that a place is free. */
  free(othersOngoing: number): void;
  /** Tells it that the replica is about to stop. */
  drain(): void;
}
