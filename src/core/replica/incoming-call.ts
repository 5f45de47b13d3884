import type { RefusalReason } from "../contracts/replica-client.ts";

/** One caller of a replica, as the replica counts it. The session behind it makes one for each connected process. */
export interface Peer {
  /** Calls of this caller that run now; kept by the replica. */
  ongoing: number;
  /** Whether it was refused for want of a place and is to be told of the next; kept by the replica. */
  waiting: boolean;
  /** Tells it that a place is free. */
  free(othersOngoing: number): void;
  /** Tells it that the replica is about to stop. */
  drain(): void;
}

/**
 * A call that has arrived at a replica, and the way back. Exactly one of `result`, `fail`, `end` and `refuse` ends it;
 * after that, and after the caller is gone, everything is a no-op.
 *
 * `othersOngoing` counts the calls of other callers; replies carry it so that callers know the load.
 */
export interface IncomingCall {
  readonly peer: Peer;
  readonly method: string;
  readonly stream: boolean;
  readonly broadcast: boolean;
  readonly requestId: string;
  readonly route: string;
  readonly multiplexedModelId: string;
  readonly priority: number;
  /** On this process's clock; Infinity if there is none. */
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  /** Set by the replica: who is told that the caller has cancelled, or is gone. */
  worker: { cancelled(reason: unknown): void } | undefined;
  /** Set by the replica while `item` has returned false: more may be sent. */
  onCredit: (() => void) | undefined;
  /** Decodes the arguments; to be called before the call that delivers this returns, and once. @throws {SerializationError} */
  args(): unknown[];
  /** @throws {SerializationError} if the value cannot travel; nothing was sent. */
  result(value: unknown, othersOngoing: number): void;
  fail(error: unknown, othersOngoing: number): void;
  refuse(reason: RefusalReason, othersOngoing: number): void;
  /** Sends one item. Returns whether another may follow now. @throws {SerializationError} */
  item(value: unknown): boolean;
  end(othersOngoing: number): void;
}
