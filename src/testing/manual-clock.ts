import type { Clock, Timer } from "../core/contracts/clock.ts";

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly fn: () => void;
}

/**
 * A clock that stands still until it is advanced, with repeatable chance: for tests and simulations.
 *
 * Timers run in the order in which they are due, each at its own time; of those due together, the one set first.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #wallStartMs: number;
  #turns: (() => void)[] = [];
  /** Soonest last, so that the next one is taken off the end. */
  readonly #timers: PendingTimer[] = [];
  #order = 0;
  #seed: number;

  /** @param options `startMs` is not 0 by default, so that code which takes 0 for "never" is not flattered. */
  constructor(options: { readonly seed?: number; readonly startMs?: number; readonly wallStartMs?: number } = {}) {
    this.#seed = (options.seed ?? 1) >>> 0;
    this.#nowMs = options.startMs ?? 1_000;
    this.#wallStartMs = (options.wallStartMs ?? Date.UTC(2030, 0, 1)) - this.#nowMs;
  }

  /** Timers that are set and have not fired. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** When the next timer is due, on this clock; Infinity if none is set. */
  get nextTimerMs(): number {
    return this.#timers.at(-1)?.dueMs ?? Infinity;
  }

  /** Whether something waits for the next turn. */
  get hasTurn(): boolean {
    return this.#turns.length > 0;
  }

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  setTimer(delayMs: number, fn: () => void): Timer {
    const timer: PendingTimer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn };
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1]!.dueMs <= timer.dueMs) at--;
    this.#timers.splice(at, 0, timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  nextTurn(fn: () => void): void {
    this.#turns.push(fn);
  }

  /** The numbers of a mulberry32 generator: the same for the same seed. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), this.#seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Ends the current turn: runs what waits for the next one, and what that asks for in turn. */
  turn(): void {
    while (this.#turns.length > 0) {
      const turns = this.#turns;
      this.#turns = [];
      for (const fn of turns) fn();
    }
  }

  /** Lets `ms` pass: runs every timer that comes due, at its time. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    this.turn();
    for (let next = this.#timers.at(-1); next !== undefined && next.dueMs <= endMs; next = this.#timers.at(-1)) {
      this.#timers.pop();
      this.#nowMs = next.dueMs;
      next.fn();
      this.turn();
    }
    this.#nowMs = endMs;
  }

  /** Lets time pass until no timer is left. @returns how much has passed. */
  runAll(limitMs = 3_600_000): number {
    const startMs = this.#nowMs;
    this.turn();
    for (let next = this.#timers.at(-1); next !== undefined; next = this.#timers.at(-1)) {
      if (next.dueMs - startMs > limitMs)
        throw new Error(
          `${this.#timers.length} timers are still set after ${limitMs} ms: something sets them again and again.`,
        );
      this.advance(next.dueMs - this.#nowMs);
    }
    return this.#nowMs - startMs;
  }
}
