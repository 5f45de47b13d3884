import type { Clock } from "../core/contracts/clock.ts";
import type { Poller } from "./poller.ts";

/** After a window in which nothing came, so many calls do not open one; twice as many each time it happens again. */
const LAST_REST = 256;

/**
 * The replica's side of `spinUs` on one connection: after a call whose caller asks for it, the loop is kept awake for the
 * next one.
 *
 * The caller has measured whether this makes its calls faster, and asks only while it does. What it does not see is how
 * much is spun in vain because it takes its time between calls: so windows in which none comes are rare here.
 */
export class RequestSpin {
  readonly #clock: Clock;
  readonly #poller: Poller;
  #windowUs = 0;
  #isFresh = false;
  #untilUs = 0;
  #isWatching = false;
  /** A call came while the loop was kept awake for it. */
  #hasPaid = false;
  #rest = 0;
  #toSkip = 0;
  readonly #watch = (): boolean => {
    this.#isWatching = this.#keepsOn();
    return this.#isWatching;
  };

  constructor(clock: Clock, poller: Poller) {
    this.#clock = clock;
    this.#poller = poller;
  }

  /** A call has come, and its caller asks to be waited for so long. */
  called(windowUs: number): void {
    this.#windowUs = windowUs;
    if (this.#isWatching) {
      // Calls that came together are one.
      if (!this.#isFresh) this.#hasPaid = true;
    } else if (this.#toSkip > 0) {
      this.#toSkip--;
      return;
    } else {
      this.#isWatching = true;
      this.#hasPaid = false;
      this.#poller.keepAwake(this.#watch);
    }
    this.#isFresh = true;
  }

  stop(): void {
    this.#windowUs = 0;
    this.#isFresh = true;
  }

  #keepsOn(): boolean {
    const nowUs = this.#clock.now() * 1_000;
    if (this.#isFresh) {
      this.#isFresh = false;
      this.#untilUs = nowUs + this.#windowUs;
    }
    if (nowUs < this.#untilUs) return true;
    this.#rest = this.#hasPaid ? 0 : Math.min(this.#rest * 2 + 1, LAST_REST);
    this.#toSkip = this.#rest;
    return false;
  }
}
