import type { IncomingCall } from "./incoming-call.ts";
import { isThenable } from "./thenable.ts";

type AnyIterator = AsyncIterator<unknown> | Iterator<unknown>;

/** What a running stream needs of its replica. */
export interface PumpOptions {
  /** Calls a method of the iterator in the request's context. */
  call(method: Function): unknown;
  /** Why it must stop, if it must. */
  stopped(): Error | undefined;
  /** Sets what to do when it must stop while it waits for credit. */
  onStop(stop: (() => void) | undefined): void;
  ended(): void;
  failed(error: unknown): void;
}

/**
 * The iterator of a value that streams: a generator, an async generator or a ReadableStream. undefined: it is a plain
 * value, as arrays and maps are.
 */
export function iteratorOf(value: unknown): AnyIterator | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const iterable = value as Partial<AsyncIterable<unknown> & Iterable<unknown> & AnyIterator>;
  if (typeof iterable[Symbol.asyncIterator] === "function") return iterable[Symbol.asyncIterator]!();
  // What has `next` of its own can be read only once: that is a stream, and no value that could travel.
  return typeof iterable[Symbol.iterator] === "function" && typeof iterable.next === "function"
    ? iterable[Symbol.iterator]!()
    : undefined;
}

/** Moves items from the iterator to the caller as long as there is credit; stops the iterator when the request ends early. */
export function pump(call: IncomingCall, iterator: AnyIterator, options: PumpOptions): void {
  let over = false;

  const finish = (error: unknown, failed: boolean): void => {
    if (over) return;
    over = true;
    call.onCredit = undefined;
    if (failed) options.failed(error);
    else options.ended();
  };

  /** Lets the producer clean up, waits for it, and only then gives the place back. */
  const stop = (error: unknown): void => {
    let returned: unknown;
    try {
      returned = iterator.return === undefined ? undefined : options.call(iterator.return);
    } catch (thrown) {
      finish(thrown, true);
      return;
    }
    Promise.resolve(returned).then(
      () => finish(error, true),
      (thrown: unknown) => finish(thrown, true),
    );
  };

  /** Returns whether to go on at once. */
  const take = (step: IteratorResult<unknown>): boolean => {
    if (typeof step !== "object" || step === null) {
      finish(
        new TypeError(
          `${call.method} gave an iterator whose next() returns ${step === null ? "null" : typeof step} instead of an object.`,
        ),
        true,
      );
      return false;
    }
    if (step.done) {
      finish(undefined, false);
      return false;
    }
    const ended = options.stopped();
    if (ended !== undefined) {
      stop(ended);
      return false;
    }
    try {
      if (call.item(step.value)) return true;
    } catch (error) {
      stop(error);
      return false;
    }
    const resume = (): void => {
      call.onCredit = undefined;
      options.onStop(undefined);
      advance();
    };
    call.onCredit = resume;
    options.onStop(resume);
    return false;
  };

  const onStep = (step: IteratorResult<unknown>): void => {
    if (take(step)) advance();
  };
  const onError = (error: unknown): void => finish(error, true);
  const { next } = iterator;

  const advance = (): void => {
    for (;;) {
      const ended = options.stopped();
      if (ended !== undefined) {
        stop(ended);
        return;
      }
      let step: unknown;
      try {
        step = options.call(next);
      } catch (error) {
        finish(error, true);
        return;
      }
      if (step instanceof Promise || isThenable(step)) {
        Promise.resolve(step as PromiseLike<IteratorResult<unknown>>).then(onStep, onError);
        return;
      }
      if (!take(step as IteratorResult<unknown>)) return;
    }
  };

  advance();
}
