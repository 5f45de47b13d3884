import type { Call, CallTemplate } from "../handle/call.ts";
import type { ReplicaTarget } from "../router/snapshot.ts";

/** Why a replica would not take a call; it has not run, and may be sent elsewhere. */
export type RefusalReason = "full" | "draining";

/**
 * One caller's connection to one replica. It connects by itself when made; what is sent before the connection stands
 * waits in its buffer and counts as not written.
 *
 * Every call that `send` took ends in exactly one of the listener's `onFinished`, `onRefused` or `onLost`, also a call
 * that was cancelled: a place at the replica is taken until the work there has really ended.
 */
export interface ReplicaClient {
  /**
   * Sends a call: encodes its arguments now, or sends the body it already carries. Calls `onLost` later if the
   * connection breaks.
   *
   * @returns false if the connection is already closed: nothing was taken, nothing will be called back.
   * @throws {SerializationError} if an argument cannot travel; nothing was sent.
   */
  send(call: Call): boolean;
  /** Asks the replica to stop a call; `reason` is what its signal gets. No effect on a call that has finished. */
  cancel(call: Call, reason: unknown): void;
  /** Allows the replica `items` more stream items and `bytes` more bytes. */
  grant(call: Call, items: number, bytes: number): void;
  /**
   * Sends a part of an exchange that the replica has accepted.
   *
   * @returns its size; -1: not now, a call is just being encoded.
   * @throws {SerializationError} if it is too large; nothing was sent.
   */
  part(call: Call, part: Part): number;
  /** Ends the connection; calls still open are reported to `onLost`. Idempotent. */
  close(): void;
}

/** What follows the head of an exchange: data (text and bytes are different messages of a WebSocket), or its end. */
export type Part =
  | { readonly data: string | Uint8Array }
  | { readonly close: { readonly code: number; readonly reason: string } | undefined };

/** What a replica client tells the router. All are called from the connection's receive loop, never from inside `send`. */
export interface ReplicaClientListener {
  /** The call's work at the replica has ended, with a result, an error or after a cancel. `othersOngoing` is what other callers have running there. Called before the call settles. */
  onFinished(call: Call, othersOngoing: number): void;
  /** The replica would not take the call; after "full" `onFree` follows once when a place may be free. */
  onRefused(call: Call, reason: RefusalReason, othersOngoing: number): void;
  /** A place is free that this caller was refused; whoever comes first gets it. `othersOngoing` as above. */
  onFree(othersOngoing: number): void;
  /** The replica is about to stop and refuses new calls; calls that it has go on. */
  onDraining(): void;
  /** The connection is gone, or could not be made (`error`). `lost` are the calls without an answer; `written` is false only if no byte of the call can have left. */
  onLost(error: Error, lost: readonly { readonly call: Call; readonly written: boolean }[]): void;
}

/** Makes the client for a replica; given by the composition root. */
export type ConnectReplica = (target: ReplicaTarget, listener: ReplicaClientListener) => ReplicaClient;

/** Encodes a call's arguments for later sending, so that a change to them after `.remote()` has no effect. */
export interface BodyEncoder {
  /** @throws {SerializationError} if an argument cannot travel. */
  encode(call: Call): EncodedBody;
  /** The arguments of a body, as a replica would get them. */
  decode(template: CallTemplate, body: EncodedBody): unknown[];
}

/** Encoded arguments that wait for a connection: a slice of a page shared with others, which is free when none needs it. */
export interface EncodedBody {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** A further call is sent with it. */
  join?(call: Call): void;
  /** The call has ended. When the last one has left, what the body holds beside its bytes is free. */
  leave?(call: Call): void;
}
