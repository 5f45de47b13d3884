import type { Clock } from "../contracts/clock.ts";
import type { ReplicaIdentity } from "../replica/replica.ts";

/** Something that ends when the request it was made for ends early: a call made downstream. */
export interface Cancellable {
  /** Its place in its request's list, which the request keeps. */
  scopeIndex: number;
  /** The request was cancelled or its time is up: end with an error, and tell the replica. */
  endWith(error: Error): void;
}

/**
 * One request being served in this process: what `getRequestContext()` shows, and what calls made meanwhile inherit.
 *
 * The signal is made when somebody asks for it; the set of downstream calls when there is one.
 */
export interface RequestScope {
  /** The replica that serves it. */
  readonly identity: ReplicaIdentity;
  /** What `deadlineMs` is on. */
  readonly clock: Clock;
  readonly requestId: string;
  readonly route: string;
  /** W3C trace context it came in with; "" for none. */
  readonly traceparent: string;
  readonly multiplexedModelId: string;
  readonly priority: number;
  /** On the clock; Infinity if there is none. */
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Set once the request was cancelled or its deadline has passed: the error that further calls get. */
  readonly endedBy: Error | undefined;
  /** Of an HTTP request or WebSocket: the client's address. */
  readonly clientAddress: string | undefined;
  /** Aborts a signal that belongs to this request, for `error`. What its listeners throw concerns nobody else. */
  abortSignal(controller: AbortController, error: Error): void;
  /** Ends `child` when the request ends early; `forget` undoes it. */
  adopt(child: Cancellable): void;
  forget(child: Cancellable): void;
  /** Calls `fn` once when the work for the request is over, however it ends; at once if it is already. */
  onEnd(fn: () => void): void;
}
