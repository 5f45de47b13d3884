import type { Clock, Timer } from "../core/contracts/clock.ts";

let pending = 0;

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;
  #isPending = true;

  constructor(delayMs: number, fn: () => void) {
    pending++;
    this.#timeout = setTimeout(() => {
      this.#end();
      fn();
    }, delayMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
    this.#end();
  }

  #end(): void {
    if (this.#isPending) pending--;
    this.#isPending = false;
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

/** Timers that were set and have neither fired nor been cancelled: for checks that nothing is left. */
export function pendingSystemTimers(): number {
  return pending;
}
