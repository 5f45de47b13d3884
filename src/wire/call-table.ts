import { HeliostatError } from "../core/errors.ts";
import type { Call } from "../core/handle/call.ts";
import { CALL_INDEX_BITS, CALL_INDEX_MASK } from "./frames.ts";

/** A generation is what is left of 32 bits. */
const GENERATIONS = 1 << (32 - CALL_INDEX_BITS);

/**
 * The calls of one connection by id: a dense array, for a map costs several times as much per call.
 *
 * An id is used again only with another generation, so that a frame which comes late, over the other lane, cannot be
 * taken for a newer call's.
 */
export class CallTable {
  readonly #calls: (Call | undefined)[] = [];
  readonly #ids: number[] = [];
  /** Where the call's frame begins in its lane's stream: for knowing whether any of it can have left. */
  readonly #positions: number[] = [];
  readonly #bulk: boolean[] = [];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The id that the next `add` will use. */
  nextId(): number {
    const free = this.#free;
    if (free.length > 0) return this.#ids[free[free.length - 1]!]!;
    const index = this.#ids.length;
    if (index > CALL_INDEX_MASK) {
      throw new HeliostatError(
        `More than ${CALL_INDEX_MASK + 1} calls are open on one connection. Lower maxOngoingRequests of the deployment.`,
      );
    }
    return index;
  }

  add(call: Call, position: number, bulk: boolean): void {
    const index = this.#free.pop() ?? this.#ids.length;
    if (index === this.#ids.length) this.#ids.push(index);
    this.#calls[index] = call;
    this.#positions[index] = position;
    this.#bulk[index] = bulk;
    call.wireId = this.#ids[index]!;
    this.#size++;
  }

  /** The call with this id; undefined if it has ended. */
  get(id: number): Call | undefined {
    const index = id & CALL_INDEX_MASK;
    return this.#ids[index] === id ? this.#calls[index] : undefined;
  }

  isBulk(id: number): boolean {
    return this.#bulk[id & CALL_INDEX_MASK]!;
  }

  remove(id: number): void {
    const index = id & CALL_INDEX_MASK;
    this.#calls[index] = undefined;
    const generation = ((id >>> CALL_INDEX_BITS) + 1) % GENERATIONS;
    this.#ids[index] = ((generation << CALL_INDEX_BITS) | index) >>> 0;
    this.#free.push(index);
    this.#size--;
  }

  /** Empties the table and gives what was in it. */
  drain(): { readonly call: Call; readonly position: number; readonly bulk: boolean }[] {
    const open: { call: Call; position: number; bulk: boolean }[] = [];
    this.#calls.forEach((call, index) => {
      if (call !== undefined) open.push({ call, position: this.#positions[index]!, bulk: this.#bulk[index]! });
    });
    this.#calls.length = 0;
    this.#ids.length = 0;
    this.#free.length = 0;
    this.#size = 0;
    return open;
  }
}
