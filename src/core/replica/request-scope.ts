import type { Clock } from "../contracts/clock.ts";
import { HeliostatError, RequestCancelledError, RequestTimeoutError } from "../errors.ts";
import type { Cancellable, RequestScope } from "../handle/context.ts";
import type { DeadlineEntry, Expiring } from "../handle/deadlines.ts";
import type { IncomingCall } from "./incoming-call.ts";
import type { ReplicaIdentity } from "./replica.ts";

/** A request that this replica is serving: its context, its signal, and the calls made on its behalf. */
export class ActiveRequest implements RequestScope, Expiring {
  readonly call: IncomingCall;
  readonly identity: ReplicaIdentity;
  readonly clock: Clock;
  endedBy: Error | undefined = undefined;
  /** Its place in the replica's list of running requests. */
  index = -1;
  /** Called once if the request ends early: a stream that waits for credit has no other way to hear of it. */
  onStop: (() => void) | undefined = undefined;
  deadline: DeadlineEntry | undefined = undefined;
  /** What waits for the end of the work; public, because most requests have none and the replica need not ask further. */
  ends: (() => void)[] | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #children: Cancellable[] | undefined = undefined;

  constructor(call: IncomingCall, replica: { readonly identity: ReplicaIdentity; readonly clock: Clock }) {
    this.call = call;
    this.identity = replica.identity;
    this.clock = replica.clock;
  }

  get requestId(): string {
    return this.call.requestId;
  }

  get route(): string {
    return this.call.route;
  }

  get multiplexedModelId(): string {
    return this.call.multiplexedModelId;
  }

  get priority(): number {
    return this.call.priority;
  }

  get deadlineMs(): number {
    return this.call.deadlineMs;
  }

  get timeoutMs(): number {
    return this.call.timeoutMs;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.endedBy !== undefined) this.#controller.abort(this.endedBy);
    }
    return this.#controller.signal;
  }

  adopt(child: Cancellable): void {
    this.#children ??= [];
    child.scopeIndex = this.#children.length;
    this.#children.push(child);
  }

  forget(child: Cancellable): void {
    const children = this.#children!;
    const last = children.pop()!;
    if (last !== child) {
      children[child.scopeIndex] = last;
      last.scopeIndex = child.scopeIndex;
    }
    child.scopeIndex = -1;
  }

  onEnd(fn: () => void): void {
    // Whoever works for the request, even after its caller has left, ends it by letting go of the call.
    if (this.call.worker !== this) fn();
    else (this.ends ??= []).push(fn);
  }

  /** The caller has cancelled, or is gone. */
  cancelled(reason: unknown): void {
    if (HeliostatError.isInstance(reason)) {
      this.stop(reason);
      return;
    }
    const { requestId } = this;
    this.stop(
      new RequestCancelledError(`Request ${requestId} was cancelled.`, {
        requestId,
        ...(reason === undefined ? {} : { cause: reason }),
      }),
    );
  }

  /** Ends the request early: its signal aborts, and so do the calls made for it. Idempotent. */
  stop(error: Error): void {
    if (this.endedBy !== undefined) return;
    this.endedBy = error;
    // Children leave the list as they end.
    const children = this.#children;
    while (children !== undefined && children.length > 0) {
      const child = children[children.length - 1]!;
      child.endWith(downstreamEnd(error));
      if (children[children.length - 1] === child) this.forget(child);
    }
    this.#controller?.abort(error);
    this.onStop?.();
  }

  expire(): void {
    this.deadline = undefined;
    this.stop(
      new RequestTimeoutError(`Request ${this.requestId} was stopped: its ${this.timeoutMs} ms were over.`, {
        timeoutMs: this.timeoutMs,
        stopped: true,
      }),
    );
  }
}

/** Each call gets an error of its own, since a stack is added to it. */
export function downstreamEnd(error: Error): Error {
  if (error instanceof RequestTimeoutError) {
    return new RequestTimeoutError(error.message, { timeoutMs: error.timeoutMs, stopped: true });
  }
  if (error instanceof RequestCancelledError) {
    return new RequestCancelledError(error.message, {
      requestId: error.requestId,
      ...("cause" in error ? { cause: error.cause } : {}),
    });
  }
  return error;
}
