import type { Clock, Timer } from "../contracts/clock.ts";
import type { Log } from "../contracts/log.ts";

export interface RoutingStatsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly periodMs: number;
  readonly timeoutMs: number;
  /** Asks the user's class. */
  read(): unknown;
  /** May throw if what was read cannot travel. */
  report(stats: Readonly<Record<string, unknown>>): void;
}

/** Asks a class for its routing stats, again and again, until it is stopped. */
export class RoutingStats {
  readonly #options: RoutingStatsOptions;
  #timer: Timer | undefined = undefined;
  #isStopped = false;

  constructor(options: RoutingStatsOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, periodMs, timeoutMs } = this.#options;
    const nextMs = clock.now() + periodMs;
    let isOpen = true;
    const finish = (deliver: () => void): void => {
      // An answer that comes too late would overwrite a newer one.
      if (!isOpen || this.#isStopped) return;
      isOpen = false;
      this.#timer?.cancel();
      try {
        deliver();
      } catch (error) {
        this.#complain(String(error));
      }
      this.#timer = clock.setTimer(Math.max(0, nextMs - clock.now()), () => this.start());
    };
    this.#timer = clock.setTimer(timeoutMs, () => finish(() => this.#complain(`it took more than ${timeoutMs} ms`)));
    this.#read().then(
      (stats) => finish(() => this.#report(stats)),
      (error: unknown) => finish(() => this.#complain(String(error))),
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #read(): Promise<unknown> {
    return this.#options.read();
  }

  #report(stats: unknown): void {
    if (typeof stats === "object" && stats !== null && !Array.isArray(stats))
      this.#options.report(stats as Record<string, unknown>);
    else
      this.#complain(
        `it gave ${stats === null ? "null" : Array.isArray(stats) ? "an array" : typeof stats}, and must give an object`,
      );
  }

  #complain(why: string): void {
    this.#options.log.warn(`recordRoutingStats() failed: ${why}. Routing goes on with the stats before.`);
  }
}
