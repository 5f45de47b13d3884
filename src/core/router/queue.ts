import { type Call, CallState } from "../handle/call.ts";
import { Heap } from "./heap.ts";
import { Lane } from "./lane.ts";

const MS_PER_LEVEL = 1_000;

/**
 * The calls that wait for a place, in the order in which they will get one: by priority, which grows by one level for
 * each second of waiting, then by age.
 *
 * All calls age at the same pace, so the order of two of them never changes while they wait:
 * `priority + (now - since) / 1000 > otherPriority + (now - otherSince) / 1000` says the same with `now` struck out.
 * A key that never changes therefore does: `priority - since / 1000`. (Not `priority * 1000 - since`: that overflows for
 * priorities that are allowed.) Within one priority `sequence` alone decides, so each priority is a lane of its own and
 * only the heads of lanes are compared. With a single priority, as nearly always, everything is O(1); else O(log lanes).
 *
 * A waiting call costs one array element: no entry object, no links.
 */
export class WaitingCalls {
  readonly #lanes = new Map<number, Lane>();
  readonly #order = new Heap<Lane>(goesBefore, (lane, index) => {
    lane.heapIndex = index;
  });
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Entries held, settled calls that were not cleared away yet included. */
  get entries(): number {
    let entries = 0;
    for (const lane of this.#order.items) entries += lane.entries;
    return entries;
  }

  /** Adds a call at the place of its age, whenever it comes; its `waitingSinceMs` must be set. */
  push(call: Call): void {
    call.state = CallState.QUEUED;
    let lane = this.#lanes.get(call.priority);
    if (lane === undefined) {
      if (this.#size === 0) this.#clear();
      const only = this.#lanes.size === 1 ? this.#order.peek() : undefined;
      lane = new Lane(call.priority);
      this.#lanes.set(call.priority, lane);
      lane.push(call);
      lane.key = keyOf(lane);
      this.#order.push(lane);
      // While it was alone its key was not kept up.
      if (only !== undefined) this.#rank(only);
    } else {
      lane.push(call);
      this.#rank(lane);
    }
    this.#size++;
  }

  /** Takes the call that is next; undefined if none waits. */
  shift(): Call | undefined {
    for (;;) {
      const lane = this.#order.peek();
      if (lane === undefined || this.#size === 0) return undefined;
      // Its head may have been cancelled since its key was computed: then another lane may be first.
      if (this.#rank(lane) && this.#order.peek() !== lane) continue;
      const call = lane.shift();
      if (call !== undefined) {
        this.#size--;
        // Outside the line it is nobody's: a cancel meanwhile must not look for it in here.
        call.state = CallState.NEW;
      }
      if (lane.live > 0) this.#rank(lane);
      // The last lane is kept while it is empty: most callers only ever need one.
      else if (this.#lanes.size > 1) this.#drop(lane);
      if (call !== undefined) return call;
    }
  }

  /** Forgets a call that is in here and has just been settled. */
  remove(call: Call): void {
    this.#size--;
    const lane = this.#lanes.get(call.priority)!;
    lane.noteDead();
    if (this.#size === 0) this.#clear();
    else if (lane.live === 0) this.#drop(lane);
  }

  /** Takes all calls, oldest first. */
  drain(): Call[] {
    const calls: Call[] = [];
    for (const lane of this.#order.items) for (const call of lane.calls()) calls.push(call);
    this.#clear();
    calls.sort((a, b) => a.sequence - b.sequence);
    for (const call of calls) call.state = CallState.NEW;
    return calls;
  }

  /** @returns whether its key has changed. */
  #rank(lane: Lane): boolean {
    if (this.#lanes.size === 1) return false;
    const key = keyOf(lane);
    if (key === lane.key) return false;
    lane.key = key;
    this.#order.fix(lane.heapIndex);
    return true;
  }

  #drop(lane: Lane): void {
    this.#lanes.delete(lane.priority);
    lane.key = Infinity;
    this.#order.fix(lane.heapIndex);
    this.#order.pop();
  }

  #clear(): void {
    this.#size = 0;
    this.#lanes.clear();
    this.#order.clear();
  }
}

function keyOf(lane: Lane): number {
  return lane.priority - lane.waitingSinceMs() / MS_PER_LEVEL;
}

function goesBefore(a: Lane, b: Lane): boolean {
  return a.key > b.key || (a.key === b.key && a.priority > b.priority);
}
