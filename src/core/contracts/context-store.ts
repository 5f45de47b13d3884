/** Carries a value along asynchronous calls, as `AsyncLocalStorage` does; it comes from outside so that core stays pure. */
export interface ContextStore<TContext> {
  get(): TContext | undefined;
  /** Runs `fn` in a context, over whatever else is in force. What `fn` enters for itself ends with it. */
  run<TResult>(context: TContext | undefined, fn: () => TResult): TResult;
  /**
   * Calls a method in a context and in nothing else: of other storages, also those of users, none is in force, whoever
   * made the event happen that this is part of. What the method enters for itself ends with it.
   */
  call(context: TContext | undefined, method: Function, self: unknown, args: readonly unknown[]): unknown;
}
