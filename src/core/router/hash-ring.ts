import { hashText } from "./hash.ts";

/** Points per replica: shares then differ by some ten percent. */
const POINTS_PER_REPLICA = 100;
/** How many replicas a point can tell apart: hash and owner share the 53 bits of a number. */
const MAX_OWNERS = 2 ** 20;

/**
 * Replicas on a circle, each at many points: a key belongs to the next point, and when a replica comes or goes only its
 * own share moves.
 *
 * Made from nothing but the ids, in no order, so that all callers agree.
 */
export class HashRing {
  readonly #ids: readonly string[];
  /** Hash times MAX_OWNERS plus owner, ascending. */
  readonly #points: Float64Array;

  constructor(ids: readonly string[]) {
    // Two points with one hash are ordered by owner, so owners must be numbered alike everywhere.
    this.#ids = [...ids].sort();
    this.#points = new Float64Array(ids.length * POINTS_PER_REPLICA);
    let at = 0;
    for (let owner = 0; owner < this.#ids.length; owner++) {
      for (let seed = 1; seed <= POINTS_PER_REPLICA; seed++)
        this.#points[at++] = hashText(this.#ids[owner]!, seed) * MAX_OWNERS + owner;
    }
    this.#points.sort();
  }

  get points(): number {
    return this.#points.length;
  }

  /** The point that `hash` belongs to. */
  find(hash: number): number {
    const wanted = hash * MAX_OWNERS;
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }

  /** The replica at a point; points beyond the last go round. */
  replicaAt(point: number): string {
    return this.#ids[this.#points[point % this.#points.length]! % MAX_OWNERS]!;
  }
}
