import type { Clock, Timer } from "../contracts/clock.ts";

/** Something that must end by a time. */
export interface Expiring {
  readonly deadlineMs: number;
  expire(): void;
}

/** A place in the wheel, to be given back when the work ends in time. */
export interface DeadlineEntry {
  readonly owner: Expiring;
  readonly bucket: Bucket;
  previous: DeadlineEntry | undefined;
  next: DeadlineEntry | undefined;
}

interface Bucket {
  readonly tick: number;
  first: DeadlineEntry | undefined;
}

/** Deadlines are kept to this precision: one timer serves all that fall into the same span. */
const TICK_MS = 4;
/** Timers cannot be set for longer, and fire at once if they are; for a later deadline another is set then. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * All deadlines of a process behind one timer.
 *
 * A timer per call would cost more than the call itself; here a call costs one list entry, and none of the work that
 * ends in time is ever looked at again. Never early, late by at most a tick and what the event loop adds.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();
  /** Ticks of the buckets, a binary heap. */
  readonly #ticks: number[] = [];
  #count = 0;
  #timer: Timer | undefined = undefined;
  #timerTick = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are waiting to expire. */
  get count(): number {
    return this.#count;
  }

  add(owner: Expiring): DeadlineEntry {
    const tick = Math.ceil(owner.deadlineMs / TICK_MS);
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = { tick, first: undefined };
      this.#buckets.set(tick, bucket);
      pushTick(this.#ticks, tick);
    }
    const entry: DeadlineEntry = { owner, bucket, previous: undefined, next: bucket.first };
    if (bucket.first !== undefined) bucket.first.previous = entry;
    bucket.first = entry;
    this.#count++;
    if (tick < this.#timerTick) this.#arm(tick);
    return entry;
  }

  remove(entry: DeadlineEntry): void {
    if (entry.previous !== undefined) entry.previous.next = entry.next;
    else if (entry.bucket.first === entry) entry.bucket.first = entry.next;
    else return; // It has expired.
    if (entry.next !== undefined) entry.next.previous = entry.previous;
    entry.previous = undefined;
    entry.next = undefined;
    this.#count--;
    if (this.#count === 0) this.#clear();
  }

  #arm(tick: number): void {
    this.#timer?.cancel();
    this.#timerTick = tick;
    const delayMs = Math.max(0, tick * TICK_MS - this.#clock.now());
    this.#timer = this.#clock.setTimer(Math.min(delayMs, MAX_TIMER_MS), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerTick = Infinity;
    const nowTick = Math.floor(this.#clock.now() / TICK_MS);
    while (this.#ticks.length > 0 && this.#ticks[0]! <= nowTick) {
      const tick = popTick(this.#ticks);
      const bucket = this.#buckets.get(tick);
      if (bucket === undefined) continue;
      this.#buckets.delete(tick);
      while (bucket.first !== undefined) {
        const entry: DeadlineEntry = bucket.first;
        bucket.first = entry.next;
        if (entry.next !== undefined) entry.next.previous = undefined;
        entry.next = undefined;
        this.#count--;
        entry.owner.expire();
      }
    }
    if (this.#count === 0) this.#clear();
    else if (this.#ticks.length > 0 && this.#ticks[0]! < this.#timerTick) this.#arm(this.#ticks[0]!);
  }

  #clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerTick = Infinity;
    this.#buckets.clear();
    this.#ticks.length = 0;
  }
}

function pushTick(heap: number[], tick: number): void {
  let at = heap.push(tick) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]! <= tick) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = tick;
}

function popTick(heap: number[]): number {
  const top = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= last) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}
