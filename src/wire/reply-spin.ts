import type { Clock } from "../core/contracts/clock.ts";
import { CALL_INDEX_MASK } from "./frames.ts";
import type { Poller } from "./poller.ts";
import { SpinChoice } from "./spin-choice.ts";

/** The caller's side of `spinUs` on one connection: keeps the loop awake while replies are expected any moment. */
export class ReplySpin {
  readonly #clock: Clock;
  readonly #poller: Poller;
  readonly #choice = new SpinChoice();
  /** Whether a reply is awaited, by the index of the call's id. */
  readonly #awaited: boolean[] = [];
  #waiting = 0;
  #windowUs = 0;
  /** A round is open: a call has gone out and no reply has come since. */
  #isOpen = false;
  #spins = false;
  #startedUs = 0;
  /** A call has gone out since the last turn: its window begins with the turn, which saves a look at the clock. */
  #isFresh = false;
  #untilUs = 0;
  #isWatching = false;
  readonly #watch = (): boolean => {
    this.#isWatching = this.#keepsOn();
    return this.#isWatching;
  };

  constructor(clock: Clock, poller: Poller) {
    this.#clock = clock;
    this.#poller = poller;
  }

  /** A call is about to be written. @returns whether its reply is spun for, which the replica may be told. */
  sending(windowUs: number): boolean {
    this.#windowUs = windowUs;
    this.#isFresh = true;
    // One without a call is left over from a call that could not be written.
    if (this.#isOpen && this.#waiting > 0) return this.#spins;
    this.#isOpen = true;
    this.#startedUs = this.#nowUs();
    this.#spins = this.#choice.begin(this.#startedUs);
    if (this.#spins && !this.#isWatching) {
      this.#isWatching = true;
      this.#poller.keepAwake(this.#watch);
    }
    return this.#spins;
  }

  sent(id: number): void {
    this.#awaited[id & CALL_INDEX_MASK] = true;
    this.#waiting++;
  }

  /** A reply has come, or an item: told for all calls, and as often as there are items. */
  answered(id: number): void {
    const index = id & CALL_INDEX_MASK;
    if (this.#awaited[index] !== true) return;
    this.#awaited[index] = false;
    this.#waiting--;
    if (!this.#isOpen) return;
    const nowUs = this.#nowUs();
    this.#close(nowUs, nowUs - this.#startedUs);
  }

  /** No reply will come any more. */
  stop(): void {
    this.#awaited.length = 0;
    this.#waiting = 0;
    this.#isOpen = false;
  }

  #keepsOn(): boolean {
    if (!this.#spins || this.#waiting === 0) return false;
    const nowUs = this.#nowUs();
    if (this.#isFresh) {
      this.#isFresh = false;
      this.#untilUs = nowUs + this.#windowUs;
    }
    if (nowUs < this.#untilUs) return true;
    if (this.#isOpen) this.#close(nowUs, Infinity);
    return false;
  }

  #close(nowUs: number, tookUs: number): void {
    this.#isOpen = false;
    this.#choice.end(nowUs, tookUs, this.#windowUs);
  }

  #nowUs(): number {
    return this.#clock.now() * 1_000;
  }
}
