/**
 * Keeps what listeners of a request throw away from other requests: the platform reports an error of an event's listener
 * to the whole process, which ends.
 */
export interface Containment {
  /** Runs `fn`, which dispatches events; what their listeners throw is told to `onThrown`, in a later turn perhaps. */
  run(fn: () => void, onThrown: (error: unknown) => void): void;
}
