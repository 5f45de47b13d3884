/** Carries a value along asynchronous calls, as `AsyncLocalStorage` does; it comes from outside so that core stays pure. */
export interface ContextStore<TContext> {
  get(): TContext | undefined;
  run<TResult>(context: TContext | undefined, fn: () => TResult): TResult;
}
