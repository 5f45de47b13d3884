/** A timer that was set; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time and chance, passed in so that everything in core can run on a virtual clock.
 *
 * No method may be called with a callback that runs at once: timers fire in a later turn.
 */
export interface Clock {
  /** Monotonic milliseconds, with fractions. Only differences mean anything. */
  now(): number;
  /** Wall-clock milliseconds since 1970, for what people read. */
  wallNow(): number;
  /** Calls `fn` once, `delayMs` from now. A pending timer does not keep the process alive. */
  setTimer(delayMs: number, fn: () => void): Timer;
  /** Runs `fn` when the current turn and its promise jobs are done. */
  nextTurn(fn: () => void): void;
  /** Uniform in [0, 1). */
  random(): number;
}
