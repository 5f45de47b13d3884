import { HeliostatError, RequestCancelledError, RequestTimeoutError } from "../errors.ts";
import { Call, CallState } from "./call.ts";
import { type Cancellable, endOf, type RequestScope } from "./context.ts";
import type { DeadlineEntry, Expiring } from "./deadlines.ts";
import type { MethodTarget } from "./method-target.ts";
import { appendLocalStack } from "./remote-error.ts";
import { settleWithError } from "./settle.ts";

/** Where a call was made, captured as an Error captures it; formatted only if it is read. */
export interface CallSite {
  readonly stack?: string;
}

/**
 * A call as its caller's side sees it: what must be undone when it settles, and how it is ended early.
 *
 * The subclasses say what a result means. `settled` must be the first thing they do when the outcome comes.
 */
export abstract class OutgoingCall extends Call implements Cancellable, Expiring {
  readonly site: CallSite | undefined;
  /** Set once it was cancelled. */
  cancelled = false;
  scopeIndex = -1;
  /** What would end it early, if anything. */
  #ties: { deadline: DeadlineEntry | undefined; onAbort: (() => void) | undefined } | undefined = undefined;

  constructor(target: MethodTarget, args: readonly unknown[], site: CallSite | undefined) {
    const { caller } = target;
    super(target, args, caller.nextSequence(), caller.termsOf(target));
    this.site = site;
  }

  get target(): MethodTarget {
    return this.template as MethodTarget;
  }

  /** The request during which the call is made. */
  override get parent(): RequestScope | undefined {
    return this.terms.parent as RequestScope | undefined;
  }

  /** The id of the request that this call is part of. */
  get requestId(): string {
    return this.parent?.requestId ?? this.target.caller.requestIdOf(this.sequence);
  }

  /**
   * Ties the call to its deadline, its signal and the request it serves.
   *
   * @returns false if one of them has ended already: the call is settled and must not be sent.
   */
  attach(): boolean {
    const { caller, signal } = this.target;
    const { parent, deadlineMs } = this;
    if (parent !== undefined) {
      const end = endOf(parent);
      if (end !== undefined) {
        settleWithError(this, inheritedEnd(this, end));
        return false;
      }
      parent.adopt(this);
    }
    if (signal !== undefined) {
      if (signal.aborted) {
        this.cancel(signal.reason, true);
        return false;
      }
    }
    if (deadlineMs !== Infinity && deadlineMs <= caller.clock.now()) {
      this.expire();
      return false;
    }
    if (signal === undefined && deadlineMs === Infinity) return true;
    const onAbort = signal === undefined ? undefined : () => this.cancel(signal.reason, true);
    if (onAbort !== undefined) signal!.addEventListener("abort", onAbort, { once: true });
    this.#ties = { deadline: deadlineMs === Infinity ? undefined : caller.deadlines.add(this), onAbort };
    return true;
  }

  /** Ends the call unless it has an outcome already. Idempotent. */
  cancel(reason?: unknown, hasReason = false): void {
    if (this.state === CallState.SETTLED) return;
    this.cancelled = true;
    this.endWith(cancelledError(this.requestId, hasReason ? { cause: reason } : {}));
  }

  expire(): void {
    this.endWith(
      new RequestTimeoutError(
        `The request to ${this.template.deployment}.${this.template.method} was stopped: its ${this.timeoutMs} ms were over. Give a longer timeoutMs, or find what takes so long.`,
        { timeoutMs: this.timeoutMs, stopped: true },
      ),
    );
  }

  endWith(error: Error): void {
    this.target.router.abandon(this, error);
  }

  /** Undoes what `attach` did. */
  protected release(): void {
    if (this.scopeIndex >= 0) this.parent!.forget(this);
    const ties = this.#ties;
    if (ties === undefined) return;
    this.#ties = undefined;
    if (ties.deadline !== undefined) this.target.caller.deadlines.remove(ties.deadline);
    if (ties.onAbort !== undefined) this.target.signal!.removeEventListener("abort", ties.onAbort);
  }

  /** Lets an error tell where the call was made as well as where it failed. */
  protected explain(error: unknown): unknown {
    this.target.caller.noteFailure();
    if (error instanceof Error && this.site?.stack !== undefined) {
      appendLocalStack(error, this.site.stack, `${this.template.deployment}.${this.template.method}`);
    }
    return error;
  }
}

export function cancelledError(requestId: string, options: { cause?: unknown } = {}): RequestCancelledError {
  return new RequestCancelledError(`Request ${requestId} was cancelled.`, { requestId, ...options });
}

/** Each call gets an error of its own: a stack that is added to one must not show in another. */
function inheritedEnd(call: OutgoingCall, end: Error): Error {
  if (end instanceof RequestTimeoutError) {
    return new RequestTimeoutError(
      `The call to ${call.template.deployment}.${call.template.method} was not sent: the time of the request that makes it (${end.timeoutMs} ms) is over.`,
      { timeoutMs: end.timeoutMs, stopped: true },
    );
  }
  if (end instanceof RequestCancelledError || !HeliostatError.isInstance(end)) {
    return new RequestCancelledError(
      `The call to ${call.template.deployment}.${call.template.method} was not sent: request ${call.requestId}, which makes it, was cancelled.`,
      { requestId: call.requestId, cause: end },
    );
  }
  return end;
}
