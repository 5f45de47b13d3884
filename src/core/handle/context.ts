/** Something that ends when the request it was made for ends early: a call made downstream. */
export interface Cancellable {
  cancelBy(reason: unknown): void;
}

/**
 * One request being served in this process: what `getRequestContext()` shows, and what calls made meanwhile inherit.
 *
 * The signal is made when somebody asks for it; the set of downstream calls when there is one.
 */
export interface RequestScope {
  readonly requestId: string;
  readonly route: string;
  readonly multiplexedModelId: string;
  readonly priority: number;
  /** On the clock; Infinity if there is none. */
  readonly deadlineMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Set once the request was cancelled or its deadline has passed: the error that further calls get. */
  readonly endedBy: Error | undefined;
  /** Cancels `child` when the request is cancelled. Returns nothing; `forget` undoes it. */
  adopt(child: Cancellable): void;
  forget(child: Cancellable): void;
}
