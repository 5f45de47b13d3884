import type { DeploymentSnapshot } from "../router/snapshot.ts";

/**
 * Tells callers where replicas are. The controller is behind it, directly in the driver and over the control channel
 * in a replica; it is never asked while a request waits for an answer it already has.
 */
export interface Directory {
  /** Calls `onSnapshot` with the current snapshot (in a later turn at the earliest) and with each newer one. Returns the way to stop. */
  subscribe(app: string, deployment: string, onSnapshot: (snapshot: DeploymentSnapshot) => void): () => void;
}
