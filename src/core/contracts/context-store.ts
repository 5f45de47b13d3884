/** Carries a value along asynchronous calls, as `AsyncLocalStorage` does; it comes from outside so that core stays pure. */
export interface ContextStore<TContext> {
  get(): TContext | undefined;
  run<TResult>(context: TContext | undefined, fn: () => TResult): TResult;
  /**
   * Calls a method in a context. The context may stay in force until the current turn ends, which saves setting the one
   * before again: for code after which only other contexts are entered.
   */
  call(context: TContext, method: Function, self: unknown, args: readonly unknown[]): unknown;
}
