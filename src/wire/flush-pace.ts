import { FLUSH_BYTES } from "./frames.ts";

/** The first flush of a turn wakes the other side; from then on it has work while this side goes on, so each next one may be larger. */
const FIRST_BYTES = 512;
/** So many early flushes are one look at what they cost. */
const LOOK_FLUSHES = 64;
/** More preemptions than this in a look: whoever is woken takes this side's core. */
const MAX_PREEMPTIONS = LOOK_FLUSHES / 4;
/** Where an early flush only takes the core away, this much gathers: each flush costs the whole way into the other process and back. */
const GATHERED_BYTES = 32_768;
const FIRST_PAUSE_TURNS = 1_024;
const LAST_PAUSE_TURNS = 8_192;

/**
 * How much may gather before it is handed over, within one turn of the event loop.
 *
 * With a core for each side, an early first flush lets both work at once; otherwise each sleeps while the other works, and
 * waking up costs more than the work. On one core an early flush only takes the core away from whoever flushes: how often
 * that happens is what the system counts as preemptions, and if it is often, there are no early flushes for a while.
 */
export class FlushPace {
  /** Bytes at which to flush next. */
  bytes: number;
  readonly #preemptions: (() => number) | undefined;
  #flushes = 0;
  #preemptionsBefore = 0;
  #pauseTurns = FIRST_PAUSE_TURNS;
  #pausedTurns = 0;

  /** @param preemptions how often this process had to give up a core while it had work. Without it there are no early flushes. */
  constructor(preemptions: (() => number) | undefined) {
    this.#preemptions = preemptions;
    this.bytes = this.#first();
  }

  /** A flush before the end of the turn is due. */
  flushed(): void {
    if (this.bytes >= FLUSH_BYTES) return;
    this.bytes *= 2;
    if (this.#flushes === 0) this.#preemptionsBefore = this.#preemptions!();
    if (++this.#flushes < LOOK_FLUSHES) return;
    this.#flushes = 0;
    if (this.#preemptions!() - this.#preemptionsBefore <= MAX_PREEMPTIONS) {
      this.#pauseTurns = FIRST_PAUSE_TURNS;
      return;
    }
    this.#pausedTurns = this.#pauseTurns;
    this.#pauseTurns = Math.min(this.#pauseTurns * 2, LAST_PAUSE_TURNS);
  }

  turnEnded(): void {
    if (this.#pausedTurns > 0) this.#pausedTurns--;
    this.bytes = this.#first();
  }

  #first(): number {
    if (this.#preemptions === undefined) return FLUSH_BYTES;
    return this.#pausedTurns > 0 ? GATHERED_BYTES : FIRST_BYTES;
  }
}
