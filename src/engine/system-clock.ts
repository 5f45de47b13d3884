import type { Clock, Timer } from "../core/contracts/clock.ts";
import { outside } from "./context-store.ts";

/** As long as a timer can be. */
export const FOREVER_MS = 2_147_483_647;

let pending = 0;

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;
  #isPending = true;

  constructor(delayMs: number, fn: () => void, keepsAlive: boolean) {
    pending++;
    // One timer serves many requests: it belongs to none, whichever happened to set it.
    this.#timeout = outside(() =>
      setTimeout(() => {
        this.#end();
        fn();
      }, delayMs),
    );
    if (!keepsAlive) this.#timeout.unref();
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

/** What `performance.now()` counts from, on the clock that all processes of a machine share. */
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The real time, on one clock for all processes of a machine: what one of them reads means the same to another. */
export const systemClock: Clock = {
  now: () => originMs + performance.now(),
  wallNow: () => Date.now(),
  setTimer: (delayMs, fn) => new SystemTimer(delayMs, fn, false),
  nextTurn: (fn) => void outside(() => setImmediate(fn)),
  random: () => Math.random(),
};

/** The same, but a pending timer keeps the process alive: for what a script waits for. */
export const wakefulClock: Clock = { ...systemClock, setTimer: (delayMs, fn) => new SystemTimer(delayMs, fn, true) };

/** Timers that were set and have neither fired nor been cancelled: for checks that nothing is left. */
export function pendingSystemTimers(): number {
  return pending;
}
