import type { Poller } from "../wire/poller.ts";

/**
 * Polls by a chain of immediates: while one is pending, libuv looks for events without waiting, which takes well below
 * a microsecond, and does everything else of a turn too. An unreferenced one would not do: the loop sleeps over it.
 */
export class LoopPoller implements Poller {
  readonly #watches: (() => boolean)[] = [];
  #scheduled = false;
  readonly #turn = (): void => {
    this.#scheduled = false;
    const watches = this.#watches;
    let kept = 0;
    // A watch may add another one while it is asked.
    for (let i = 0; i < watches.length; i++) {
      const watch = watches[i]!;
      if (watch()) watches[kept++] = watch;
    }
    watches.length = kept;
    if (kept > 0) this.#schedule();
  };

  /** Whether somebody keeps the loop awake: for checks that nothing is left. */
  get isPolling(): boolean {
    return this.#watches.length > 0;
  }

  keepAwake(watch: () => boolean): void {
    this.#watches.push(watch);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }
}

/** That of this thread: each has one loop. */
export const loopPoller: LoopPoller = new LoopPoller();
