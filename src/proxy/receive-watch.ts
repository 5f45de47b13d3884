import type { Clock, Timer } from "../core/contracts/clock.ts";

/** A request whose body is being received. */
export interface Receiving {
  /** When something of it came last, or when it was last known not to be the client that everybody waits for. */
  lastReceivedMs: number;
  /** Whether the client is kept waiting: then it may well be silent. */
  readonly isHeldBack: boolean;
  /** Nothing has come for too long. */
  onSilent(): void;
}

/** Looks now and then whether clients that are sending have fallen silent: a timer for each would cost more than the request. */
export class ReceiveWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #receiving = new Set<Receiving>();
  #timer: Timer | undefined = undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  add(receiving: Receiving): void {
    receiving.lastReceivedMs = this.#clock.now();
    this.#receiving.add(receiving);
    this.#timer ??= this.#wait();
  }

  remove(receiving: Receiving): void {
    this.#receiving.delete(receiving);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(): Timer {
    return this.#clock.setTimer(checkPeriodMs(this.#timeoutMs), () => this.#look());
  }

  #look(): void {
    const now = this.#clock.now();
    for (const receiving of this.#receiving) {
      if (receiving.isHeldBack) receiving.lastReceivedMs = now;
      else if (now - receiving.lastReceivedMs >= this.#timeoutMs) {
        this.#receiving.delete(receiving);
        receiving.onSilent();
      }
    }
    this.#timer = this.#receiving.size === 0 ? undefined : this.#wait();
  }
}

/** How often it is looked at: often enough that nobody waits much longer than it says. */
export function checkPeriodMs(timeoutMs: number): number {
  return Math.min(5_000, Math.max(1, timeoutMs / 8));
}
