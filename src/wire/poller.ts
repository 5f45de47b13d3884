/** Keeps the event loop of this thread from sleeping, so that what arrives is read without a wake-up. */
export interface Poller {
  /**
   * Asks `watch` once in each turn of the loop, which does not sleep in between, until it returns false. Timers, sockets
   * and everything else are served in those turns as in any other.
   */
  keepAwake(watch: () => boolean): void;
}
