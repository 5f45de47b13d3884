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
 *
 * When its work is over, it binds nothing any more: what was started in it and goes on, such as a timer, keeps its ids and
 * its trace, and is not held by its deadline or by how it ended.
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
  /** Set once the request was cancelled or its deadline has passed. */
  readonly endedBy: Error | undefined;
  /** Of an HTTP request or WebSocket: the client's address. */
  readonly clientAddress: string | undefined;
  /** Aborts a signal that belongs to this request, for `error`. What its listeners throw concerns nobody else. */
  abortSignal(controller: AbortController, error: Error): void;
  /** The work for it has ended, however it did. */
  readonly isOver: boolean;
  /** Ends `child` when the request ends early; `forget` undoes it. Does nothing when the work is over. */
  adopt(child: Cancellable): void;
  forget(child: Cancellable): void;
  /** Calls `fn` once when the work for the request is over, however it ends; at once if it is already. */
  onEnd(fn: () => void): void;
}

/** The error that whatever is begun in the context of a request gets, if the request has ended early. */
export function endOf(scope: RequestScope | undefined): Error | undefined {
  return scope === undefined || scope.isOver ? undefined : scope.endedBy;
}

/** By when all that is done in the context of a request must end, on the clock; Infinity if nothing says so. */
export function deadlineOf(scope: RequestScope): number {
  return scope.isOver ? Infinity : scope.deadlineMs;
}
