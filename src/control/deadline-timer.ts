import type { Clock, Timer } from "../core/contracts/clock.ts";

/** One timer for the next thing that is due, however many there are; none when nothing is. */
export class DeadlineTimer {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #timer: Timer | undefined = undefined;
  #dueMs = Infinity;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  get isSet(): boolean {
    return this.#timer !== undefined;
  }

  /** Sets when the next thing is due, on the clock; Infinity if nothing is. */
  set(dueMs: number): void {
    if (dueMs === this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer =
      dueMs === Infinity ? undefined : this.#clock.setTimer(Math.max(0, dueMs - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#dueMs = Infinity;
    this.#onDue();
  }
}
