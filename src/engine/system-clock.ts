import type { Clock, Timer } from "../core/contracts/clock.ts";

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, fn: () => void) {
    this.#timeout = setTimeout(fn, delayMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

/** The real time of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer: (delayMs, fn) => new SystemTimer(delayMs, fn),
  nextTurn: (fn) => void setImmediate(fn),
  random: () => Math.random(),
};
