/** How much the newest gap or run counts in the average. */
const WEIGHT = 0.2;
/** An item that comes after so many usual gaps is late: the burst is over. */
const LATE_GAPS = 2;

/**
 * Learns how fast items arrive and how long a batch takes, and says how long waiting for one more pays.
 *
 * An item that joins a batch instead of the next one saves up to one run; those that wait for it lose what they wait.
 * So a batch waits while the next item can be expected, and never longer than a run.
 */
export class ArrivalPace {
  #gapMs: number | undefined = undefined;
  #runMs: number | undefined = undefined;
  #lastMs: number | undefined = undefined;

  arrived(nowMs: number): void {
    if (this.#lastMs !== undefined) this.#gapMs = smooth(this.#gapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }

  ran(runMs: number): void {
    this.#runMs = smooth(this.#runMs, runMs);
  }

  /** When a batch that began at `firstMs` and has just got an item should go; `nowMs` means at once. */
  dueAtMs(firstMs: number, nowMs: number): number {
    // Nothing is known before the first batch has run: it does not wait.
    if (this.#gapMs === undefined || this.#runMs === undefined) return nowMs;
    const patienceMs = LATE_GAPS * this.#gapMs;
    if (patienceMs > this.#runMs) return nowMs;
    return Math.max(nowMs, Math.min(nowMs + patienceMs, firstMs + this.#runMs));
  }
}

function smooth(average: number | undefined, newest: number): number {
  return average === undefined ? newest : average + WEIGHT * (newest - average);
}
