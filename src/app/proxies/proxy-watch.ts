import type { Clock, Timer } from "../../core/contracts/clock.ts";

export interface ProxyWatchOptions {
  readonly clock: Clock;
  /** @returns whether it has answered in time. */
  ask(): Promise<boolean>;
  /** It has not answered several times in a row. */
  onHung(): void;
}

const PERIOD_MS = 10_000;
/** As with replicas: one miss is a bad moment. */
const MAX_MISSES = 3;

/** Asks a proxy again and again whether it is there: one whose event loop stands still keeps its port, and answers nobody. */
export class ProxyWatch {
  readonly #options: ProxyWatchOptions;
  #timer: Timer | undefined = undefined;
  #misses = 0;
  #round = 0;

  constructor(options: ProxyWatchOptions) {
    this.#options = options;
  }

  /** Begins, or begins anew with another process. */
  start(): void {
    this.stop();
    this.#misses = 0;
    this.#wait(this.#round);
  }

  stop(): void {
    this.#round += 1;
    this.#timer?.cancel();
  }

  #wait(round: number): void {
    this.#timer = this.#options.clock.setTimer(PERIOD_MS, () => void this.#look(round));
  }

  async #look(round: number): Promise<void> {
    const hasAnswered = await this.#options.ask();
    if (round !== this.#round) return;
    this.#misses = hasAnswered ? 0 : this.#misses + 1;
    if (this.#misses >= MAX_MISSES) this.#options.onHung();
    else this.#wait(round);
  }
}
