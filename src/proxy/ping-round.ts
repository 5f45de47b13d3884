import type { Clock, Timer } from "../core/contracts/clock.ts";

/** A peer that is asked now and then whether it is still there. */
export interface Pinged {
  /** Something has come from it since it was asked, or it was not free to answer. */
  isAlive: boolean;
  ping(): void;
  /** It has not answered. */
  onSilent(): void;
}

/** Pings the peers of all WebSockets, with one timer for all of them. */
export class PingRound {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #peers = new Set<Pinged>();
  #timer: Timer | undefined = undefined;

  /** @param intervalMs 0: never. */
  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  add(peer: Pinged): void {
    if (this.#intervalMs === 0) return;
    peer.isAlive = true;
    this.#peers.add(peer);
    this.#timer ??= this.#wait();
  }

  remove(peer: Pinged): void {
    this.#peers.delete(peer);
  }

  stop(): void {
    this.#peers.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(): Timer {
    return this.#clock.setTimer(this.#intervalMs, () => this.#ping());
  }

  #ping(): void {
    for (const peer of this.#peers) {
      if (peer.isAlive) {
        peer.isAlive = false;
        peer.ping();
      } else {
        this.#peers.delete(peer);
        peer.onSilent();
      }
    }
    this.#timer = this.#peers.size === 0 ? undefined : this.#wait();
  }
}
