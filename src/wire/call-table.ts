import { HeliostatError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import { CALL_INDEX_BITS, CALL_INDEX_MASK } from "./frames.ts";

/** A generation is what is left of 32 bits. */
const GENERATIONS = 1 << (32 - CALL_INDEX_BITS);
const FIRST_ROOM = 64;

/** An open call and where its frame begins in its lane's stream. */
export interface OpenCall {
  readonly call: Call;
  readonly position: number;
  readonly bulk: boolean;
}

/**
 * The calls of one connection by id: a dense array, for a map costs several times as much per call.
 *
 * An id is used again only with another generation, so that a frame which comes late, over the other lane, cannot be
 * taken for a newer call's. What is known of each entry lies in typed arrays, which hold numbers as they are.
 */
export class CallTable {
  readonly #calls: (Call | undefined)[] = [];
  #ids = new Uint32Array(FIRST_ROOM);
  /** Where the call's frame begins in its lane's stream, for knowing whether any of it can have left; -1 - that on the bulk lane. */
  #positions = new Float64Array(FIRST_ROOM);
  /** Indices that are not in use. */
  #free = new Uint32Array(FIRST_ROOM);
  #freeCount = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The id that the next `add` will use. */
  nextId(): number {
    if (this.#freeCount > 0) return this.#ids[this.#free[this.#freeCount - 1]!]!;
    const index = this.#calls.length;
    if (index > CALL_INDEX_MASK) {
      throw new HeliostatError(
        `More than ${CALL_INDEX_MASK + 1} calls are open on one connection. Lower maxOngoingRequests of the deployment.`,
      );
    }
    return index;
  }

  add(call: Call, position: number, bulk: boolean): void {
    const index = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#grown();
    this.#calls[index] = call;
    this.#positions[index] = bulk ? -1 - position : position;
    call.wireId = this.#ids[index]!;
    this.#size++;
  }

  /** The call with this id; undefined if it has ended. */
  get(id: number): Call | undefined {
    const index = id & CALL_INDEX_MASK;
    return this.#ids[index] === id ? this.#calls[index] : undefined;
  }

  isBulk(id: number): boolean {
    return this.#positions[id & CALL_INDEX_MASK]! < 0;
  }

  remove(id: number): void {
    const index = id & CALL_INDEX_MASK;
    this.#calls[index] = undefined;
    const generation = ((id >>> CALL_INDEX_BITS) + 1) % GENERATIONS;
    this.#ids[index] = (generation << CALL_INDEX_BITS) | index;
    this.#free[this.#freeCount++] = index;
    this.#size--;
  }

  /** Empties the table and gives what was in it. */
  drain(): OpenCall[] {
    const open: OpenCall[] = [];
    this.#calls.forEach((call, index) => {
      const position = this.#positions[index]!;
      const bulk = position < 0;
      if (call !== undefined) open.push({ call, position: bulk ? -1 - position : position, bulk });
    });
    this.#calls.length = 0;
    this.#freeCount = 0;
    this.#size = 0;
    return open;
  }

  /** Makes an entry more. @returns its index. */
  #grown(): number {
    const index = this.#calls.length;
    if (index === this.#ids.length) {
      const room = index * 2;
      const ids = new Uint32Array(room);
      ids.set(this.#ids);
      this.#ids = ids;
      const positions = new Float64Array(room);
      positions.set(this.#positions);
      this.#positions = positions;
      const free = new Uint32Array(room);
      free.set(this.#free);
      this.#free = free;
    }
    this.#ids[index] = index;
    return index;
  }
}
