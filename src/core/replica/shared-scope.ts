import type { Clock } from "../contracts/clock.ts";
import { type Cancellable, deadlineOf, type RequestScope } from "../handle/context.ts";
import { abortReason } from "./abort-reason.ts";
import { downstreamEnd } from "./downstream-end.ts";
import type { ReplicaIdentity } from "./replica.ts";

/**
 * The context of work that is done once for several requests, such as a batch.
 *
 * It is named after the first of them, is as urgent as the most urgent, and lives as long as the most patient: it ends
 * early only when whoever does the work says that nobody waits for it any more.
 */
export class SharedScope implements RequestScope {
  readonly identity: ReplicaIdentity;
  readonly clock: Clock;
  readonly requestId: string;
  readonly route: string;
  readonly traceparent: string;
  readonly multiplexedModelId: string;
  readonly priority: number;
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly clientAddress: string | undefined;
  readonly #first: RequestScope;
  endedBy: Error | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  readonly #children = new Set<Cancellable>();
  #ends: (() => void)[] | undefined = [];

  /** @param scopes the requests it is done for, in their order; work that nobody asked for in a request has no scope. */
  constructor(scopes: readonly [RequestScope, ...RequestScope[]], options: { modelId: string; hasDeadline: boolean }) {
    const [first] = scopes;
    this.#first = first;
    this.clientAddress = first.clientAddress;
    this.identity = first.identity;
    this.clock = first.clock;
    this.requestId = first.requestId;
    this.route = first.route;
    this.traceparent = first.traceparent;
    this.multiplexedModelId = options.modelId;
    this.priority = Math.max(...scopes.map(({ priority }) => priority));
    const last = scopes.reduce((latest, scope) => (deadlineOf(scope) > deadlineOf(latest) ? scope : latest), first);
    this.deadlineMs = options.hasDeadline ? deadlineOf(last) : Infinity;
    this.timeoutMs = last.timeoutMs;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.endedBy !== undefined) this.#controller.abort(abortReason(this.endedBy));
    }
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#ends === undefined;
  }

  adopt(child: Cancellable): void {
    if (this.isOver) return;
    child.scopeIndex = 0;
    this.#children.add(child);
  }

  forget(child: Cancellable): void {
    child.scopeIndex = -1;
    this.#children.delete(child);
  }

  onEnd(fn: () => void): void {
    if (this.#ends === undefined) fn();
    else this.#ends.push(fn);
  }

  /** Nobody waits for the work any more: the signal aborts, and so do the calls made for it. Idempotent. */
  stop(error: Error): void {
    if (this.endedBy !== undefined || this.isOver) return;
    this.endedBy = error;
    for (const child of [...this.#children]) {
      child.endWith(downstreamEnd(error));
      if (child.scopeIndex >= 0) this.forget(child);
    }
    if (this.#controller !== undefined) this.abortSignal(this.#controller, error);
  }

  abortSignal(controller: AbortController, error: Error): void {
    this.#first.abortSignal(controller, error);
  }

  /** The work is over. */
  end(): void {
    const ends = this.#ends ?? [];
    this.#ends = undefined;
    for (const fn of ends) fn();
  }
}
