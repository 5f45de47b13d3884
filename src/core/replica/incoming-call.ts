import type { Clock } from "../contracts/clock.ts";
import type { Containment } from "../contracts/containment.ts";
import type { Log } from "../contracts/log.ts";
import type { RefusalReason } from "../contracts/replica-client.ts";
import { errorText } from "../error-text.ts";
import { HeliostatError, RequestCancelledError, RequestTimeoutError } from "../errors.ts";
import type { Cancellable, RequestScope } from "../handle/context.ts";
import type { DeadlineEntry, Expiring } from "../handle/deadlines.ts";
import { abortReason } from "./abort-reason.ts";
import { downstreamEnd } from "./downstream-end.ts";
import type { Peer } from "./peer.ts";
import type { ReplicaIdentity } from "./replica.ts";

/** The replica that serves a request, and what its deadline is on. */
export interface ServingReplica {
  readonly identity: ReplicaIdentity;
  readonly clock: Clock;
  readonly log?: Log | undefined;
  readonly containment?: Containment | undefined;
}

/**
 * A call that has arrived at a replica: what the caller has said, the way back, and, while the replica works on it, the
 * request's context: its signal, and the calls made on its behalf. One object for all, since each call needs them.
 *
 * Exactly one of `result`, `fail`, `end` and `refuse` ends it; after that, and after the caller is gone, everything is a
 * no-op. `othersOngoing` counts the calls of other callers; replies carry it so that callers know the load.
 */
export abstract class IncomingCall implements RequestScope, Expiring {
  abstract readonly peer: Peer;
  abstract readonly method: string;
  abstract readonly stream: boolean;
  abstract readonly broadcast: boolean;
  abstract readonly requestId: string;
  abstract readonly route: string;
  abstract readonly traceparent: string;
  abstract readonly clientAddress: string | undefined;
  abstract readonly multiplexedModelId: string;
  abstract readonly priority: number;
  abstract readonly deadlineMs: number;
  abstract readonly timeoutMs: number;
  endedBy: Error | undefined = undefined;
  /** Set while `item` has returned false: more may be sent. */
  onCredit: (() => void) | undefined = undefined;
  /** Called once if the request ends early: a stream that waits for credit has no other way to hear of it. */
  onStop: (() => void) | undefined = undefined;
  deadline: DeadlineEntry | undefined = undefined;
  /** What waits for the end of the work; public, because most requests have none and the replica need not ask further. */
  ends: (() => void)[] | undefined = undefined;
  #replica: ServingReplica | undefined = undefined;
  #isRunning = false;
  #isOver = false;
  #controller: AbortController | undefined = undefined;
  #children: Cancellable[] | undefined = undefined;

  /** Decodes the arguments; to be called before the call that delivers this returns, and once. @throws {SerializationError} */
  abstract args(): unknown[];
  /** @throws {SerializationError} if the value cannot travel; nothing was sent. */
  abstract result(value: unknown, othersOngoing: number): void;
  abstract fail(error: unknown, othersOngoing: number): void;
  abstract refuse(reason: RefusalReason, othersOngoing: number): void;
  /** Sends one item. Returns whether another may follow now. @throws {SerializationError} */
  abstract item(value: unknown): boolean;
  abstract end(othersOngoing: number): void;

  /** The replica begins to work on it. */
  begin(replica: ServingReplica): void {
    this.#replica = replica;
    this.#isRunning = true;
  }

  /** The work is over, however it ended. */
  over(): void {
    this.#isRunning = false;
    this.#isOver = true;
    const { ends } = this;
    if (ends === undefined) return;
    this.ends = undefined;
    for (const fn of ends) fn();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get identity(): ReplicaIdentity {
    return this.#replica!.identity;
  }

  get clock(): Clock {
    return this.#replica!.clock;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.endedBy !== undefined) this.#controller.abort(abortReason(this.endedBy));
    }
    return this.#controller.signal;
  }

  adopt(child: Cancellable): void {
    if (this.#isOver) return;
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
    if (this.#isRunning) (this.ends ??= []).push(fn);
    else fn();
  }

  /** The caller has cancelled, or is gone. */
  cancelled(reason: unknown): void {
    if (!this.#isRunning) return;
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
    if (this.endedBy !== undefined || this.#isOver) return;
    this.endedBy = error;
    // Children leave the list as they end.
    const children = this.#children;
    while (children !== undefined && children.length > 0) {
      const child = children[children.length - 1]!;
      child.endWith(downstreamEnd(error));
      if (children[children.length - 1] === child) this.forget(child);
    }
    if (this.#controller !== undefined) this.abortSignal(this.#controller, error);
    this.onStop?.();
  }

  abortSignal(controller: AbortController, error: Error): void {
    const { containment, log } = this.#replica!;
    const abort = (): void => controller.abort(abortReason(error));
    if (containment === undefined) abort();
    else
      containment.run(abort, (thrown) =>
        log?.error(`A listener for the end of request ${this.requestId} has failed: ${errorText(thrown)}`),
      );
  }

  expire(): void {
    this.deadline = undefined;
    this.stop(this.timeoutError());
  }

  /** What the caller gets when the time is up. */
  timeoutError(): RequestTimeoutError {
    return new RequestTimeoutError(`Request ${this.requestId} was stopped: its ${this.timeoutMs} ms were over.`, {
      timeoutMs: this.timeoutMs,
      stopped: true,
    });
  }
}
