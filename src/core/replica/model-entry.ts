import type { Cancellable, RequestScope } from "../handle/context.ts";
import { abortReason } from "./abort-reason.ts";
import type { SharedScope } from "./shared-scope.ts";

/**
 * One model in a cache.
 *
 * ```
 * queued ─place─► loading ─► held ─idle─► disposing ─► gone
 *    └── nobody waits ──┴─ failed ─────────────────────►┘
 * ```
 *
 * It takes a place while it is loading, held or disposing.
 */
export class ModelEntry<M> {
  readonly modelId: string;
  phase: "queued" | "loading" | "held" | "disposing" | "gone" = "queued";
  model: M | undefined = undefined;
  bytes = 0;
  /** It is to go as soon as nobody uses it; who asks for its id gets another one. */
  isRetired = false;
  /** Who waits for it to be loaded. */
  readonly waiters = new Set<ModelWaiter<M>>();
  /** Requests that have got it, or will; it stays until they end. */
  readonly users = new Set<RequestScope>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #loading = new AbortController();
  #scope: SharedScope | undefined = undefined;

  constructor(modelId: string) {
    this.modelId = modelId;
  }

  /** Resolves when it was disposed of, or could not be loaded. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** For the loader: aborts when nobody wants what it loads. */
  get signal(): AbortSignal {
    return this.#loading.signal;
  }

  get isIdle(): boolean {
    return this.users.size === 0 && this.waiters.size === 0;
  }

  /** The context in which it is loaded. */
  loadsIn(scope: SharedScope | undefined): void {
    this.#scope = scope;
  }

  stopLoading(error: Error): void {
    this.#scope?.stop(error);
    if (this.#scope === undefined) this.#loading.abort(abortReason(error));
    else this.#scope.abortSignal(this.#loading, error);
  }

  resolve(model: M): void {
    this.#scope?.end();
    this.model = model;
    this.phase = "held";
    for (const waiter of this.waiters) waiter.resolve(model);
    this.waiters.clear();
  }

  reject(error: unknown): void {
    this.#scope?.end();
    for (const waiter of this.waiters) waiter.reject(error);
    this.waiters.clear();
    this.leave();
  }

  leave(): void {
    this.model = undefined;
    this.phase = "gone";
    this.#gone.resolve();
  }
}

/** Somebody who waits for a model. */
export class ModelWaiter<M> implements Cancellable {
  readonly scope: RequestScope | undefined;
  readonly outcome: PromiseWithResolvers<M> = Promise.withResolvers<M>();
  readonly #onLeave: (waiter: ModelWaiter<M>) => void;
  scopeIndex = -1;

  constructor(scope: RequestScope | undefined, onLeave: (waiter: ModelWaiter<M>) => void) {
    this.scope = scope;
    this.#onLeave = onLeave;
    scope?.adopt(this);
  }

  resolve(model: M): void {
    this.#release();
    this.outcome.resolve(model);
  }

  reject(error: unknown): void {
    this.#release();
    this.outcome.reject(error);
  }

  /** Its request was cancelled, or the request's time is up. */
  endWith(error: Error): void {
    this.reject(error);
    this.#onLeave(this);
  }

  #release(): void {
    if (this.scopeIndex >= 0) this.scope!.forget(this);
  }
}
