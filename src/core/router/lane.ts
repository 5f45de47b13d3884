import { type Call, CallState } from "../handle/call.ts";
import { Heap } from "./heap.ts";

/** Below this, what is dead is not worth clearing away. */
const COMPACT_FROM = 32;

/**
 * The waiting calls of one priority, first in, first out by `sequence`.
 *
 * ```
 * inOrder   ·  ·  7  8  9  12 13     arrivals, nearly always in order: an array with a moving head
 * late      5  11                    came back refused, or had arguments to wait for: a heap by sequence
 * ```
 *
 * One array for both would have to move half of itself for each late call. A call that is cancelled stays where it is,
 * without its arguments, until it comes to the head or more entries are dead than alive.
 */
export class Lane {
  readonly priority: number;
  /** Rank among lanes, see `WaitingCalls`. Never too low: it may still count a head that was cancelled. */
  key = 0;
  heapIndex = -1;
  live = 0;
  #dead = 0;
  readonly #inOrder: (Call | undefined)[] = [];
  #head = 0;
  #newest = -1;
  #late: Heap<Call> | undefined = undefined;

  constructor(priority: number) {
    this.priority = priority;
  }

  push(call: Call): void {
    this.live++;
    if (this.#head === this.#inOrder.length || call.sequence > this.#newest) {
      this.#newest = call.sequence;
      this.#inOrder.push(call);
    } else {
      (this.#late ??= new Heap(bySequence)).push(call);
    }
  }

  /** Takes the oldest; undefined if none is left. */
  shift(): Call | undefined {
    this.#dropDead();
    const first = this.#inOrder[this.#head];
    const late = this.#late?.peek();
    if (late !== undefined && (first === undefined || late.sequence < first.sequence)) {
      this.live--;
      return this.#late!.pop();
    }
    if (first === undefined) return undefined;
    this.live--;
    this.#advance();
    return first;
  }

  /** A call in here has been settled. */
  noteDead(): void {
    this.live--;
    this.#dead++;
    if (this.live === 0) this.clear();
    else if (this.#dead > this.live && this.#dead > COMPACT_FROM) this.#compact();
  }

  /** Since when the call has waited that has waited longest, of those next to go; Infinity if there is none. */
  waitingSinceMs(): number {
    this.#dropDead();
    const first = this.#inOrder[this.#head]?.waitingSinceMs ?? Infinity;
    const late = this.#late?.peek()?.waitingSinceMs ?? Infinity;
    return Math.min(first, late);
  }

  /** Every live call, in no particular order. */
  *calls(): Iterable<Call> {
    for (let i = this.#head; i < this.#inOrder.length; i++) if (isWaiting(this.#inOrder[i])) yield this.#inOrder[i]!;
    if (this.#late !== undefined) for (const call of this.#late.items) if (isWaiting(call)) yield call;
  }

  /** Entries held, dead ones included. */
  get entries(): number {
    return this.#inOrder.length - this.#head + (this.#late?.size ?? 0);
  }

  clear(): void {
    this.#inOrder.length = 0;
    this.#head = 0;
    this.#late = undefined;
    this.live = 0;
    this.#dead = 0;
  }

  #dropDead(): void {
    if (this.#dead === 0) return;
    while (this.#head < this.#inOrder.length && !isWaiting(this.#inOrder[this.#head])) {
      this.#dead--;
      this.#advance();
    }
    const late = this.#late;
    while (late !== undefined && late.size > 0 && !isWaiting(late.peek())) {
      this.#dead--;
      late.pop();
    }
  }

  #advance(): void {
    this.#inOrder[this.#head++] = undefined;
    if (this.#head === this.#inOrder.length) {
      this.#inOrder.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_FROM && this.#head * 2 > this.#inOrder.length) {
      // A loop: `copyWithin` looks at each index of a plain array as a property and takes many times as long.
      const left = this.#inOrder.length - this.#head;
      for (let i = 0; i < left; i++) this.#inOrder[i] = this.#inOrder[this.#head + i];
      this.#inOrder.length = left;
      this.#head = 0;
    }
  }

  #compact(): void {
    let kept = 0;
    for (let i = this.#head; i < this.#inOrder.length; i++)
      if (isWaiting(this.#inOrder[i])) this.#inOrder[kept++] = this.#inOrder[i];
    this.#inOrder.length = kept;
    this.#head = 0;
    this.#late?.filter(isWaiting);
    this.#dead = 0;
  }
}

function isWaiting(call: Call | undefined): boolean {
  return call !== undefined && call.state === CallState.QUEUED;
}

function bySequence(a: Call, b: Call): boolean {
  return a.sequence < b.sequence;
}
