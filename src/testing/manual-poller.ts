import type { Poller } from "../wire/poller.ts";

/** A poller whose loop turns when a test says so. */
export class ManualPoller implements Poller {
  #watches: (() => boolean)[] = [];

  /** How many keep the loop awake. */
  get size(): number {
    return this.#watches.length;
  }

  keepAwake(watch: () => boolean): void {
    this.#watches.push(watch);
  }

  turn(): void {
    const watches = this.#watches;
    this.#watches = [];
    for (const watch of watches) if (watch()) this.#watches.push(watch);
  }
}
