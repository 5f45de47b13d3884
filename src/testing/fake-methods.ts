import type { AnyFunction, MethodName } from "../core/handle/types.ts";

/** What a fake may answer for a method: its result, at once or later; a stream may be any generator of its items. */
type Answer<R> =
  | R
  | Awaited<R>
  | Promise<Awaited<R>>
  | (Awaited<R> extends AsyncIterable<infer I> ? AsyncIterable<I> | Generator<I> : never);

type Answers<F> = F extends (...args: infer P) => infer R ? (...args: P) => Answer<R> : never;

/**
 * Plain functions in place of a deployment's methods: as many of them as the test needs. For a function deployment, a
 * function.
 *
 * A method that is left out does not exist: calling it is an `UnknownMethodError`.
 */
export type FakeMethods<T> = T extends AnyFunction
  ? Answers<T>
  : { readonly [K in MethodName<T>]?: Answers<T[K & keyof T]> };
