import type { Clock } from "../contracts/clock.ts";
import type { Peer } from "./peer.ts";

/** A caller that was told of a free place and has not taken it within this time is passed over. */
const OFFER_MS = 5;

/**
 * The places of a replica: how many calls may run at a time over all callers, how many do, and which callers wait.
 *
 * Its count is the truth. Who was refused is told when there is a place, which is not kept for anybody: whoever comes
 * first has it.
 */
export class Admission {
  readonly #clock: Clock;
  /** Callers that were refused, in the order in which they were. */
  readonly #waiting: Peer[] = [];
  #limit: number;
  #ongoing = 0;
  #offering = false;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.#offer();
  }

  /** Places that are taken. */
  get ongoing(): number {
    return this.#ongoing;
  }

  /** What other callers than this have running. */
  othersThan(peer: Peer): number {
    return this.#ongoing - peer.ongoing;
  }

  /** Whether there is a place; if not, the caller is told of the next. */
  hasRoom(peer: Peer): boolean {
    if (this.#ongoing < this.#limit) return true;
    if (!peer.waiting) {
      peer.waiting = true;
      this.#waiting.push(peer);
    }
    return false;
  }

  take(peer: Peer): void {
    this.#ongoing++;
    peer.ongoing++;
  }

  giveBack(peer: Peer): void {
    this.#ongoing--;
    peer.ongoing--;
    if (this.#waiting.length > 0) this.#offer();
  }

  /** A caller is gone: it waits no longer. */
  forget(peer: Peer): void {
    const at = this.#waiting.indexOf(peer);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#offer();
  }

  /** No caller is told of a place any more. */
  close(): void {
    this.#waiting.length = 0;
  }

  /** Tells as many waiting callers as there are free places; while more wait, whoever does not come is passed over soon. */
  #offer(): void {
    let free = this.#limit - this.#ongoing;
    if (free <= 0 || this.#waiting.length === 0) return;
    while (free > 0 && this.#waiting.length > 0) {
      const peer = this.#waiting.shift()!;
      peer.waiting = false;
      peer.free(this.othersThan(peer));
      free--;
    }
    if (this.#waiting.length === 0 || this.#offering) return;
    this.#offering = true;
    this.#clock.setTimer(OFFER_MS, () => {
      this.#offering = false;
      this.#offer();
    });
  }
}
