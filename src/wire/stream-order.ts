import { type Call, CallState } from "../core/handle/call.ts";

/** What came before its turn. */
interface Parked {
  readonly items: Map<number, { readonly value: unknown; readonly bytes: number }>;
  end: { readonly items: number; readonly finish: () => void } | undefined;
}

/** Puts the items of a stream back in order: a large one travels on the other lane and may be overtaken. */
export class StreamOrder {
  readonly #parked = new Map<Call, Parked>();

  /** @param number modulo 65,536, of which the window is a small part. */
  item(call: Call, number: number, value: unknown, bytes: number): void {
    if ((call.items & 0xffff) !== number) {
      this.#park(call).items.set(number, { value, bytes });
      return;
    }
    call.items++;
    call.item(value, bytes);
    if (this.#parked.size > 0) this.#release(call);
  }

  /** Runs `finish` when all `items` have come. */
  end(call: Call, items: number, finish: () => void): void {
    // A cancelled stream drops what still comes.
    if (call.items >= items || call.state === CallState.SETTLED) {
      this.#parked.delete(call);
      finish();
    } else {
      this.#park(call).end = { items, finish };
    }
  }

  /** An item came for a call that was cancelled: if the end has been waiting for it, it waits no longer. */
  drop(call: Call): void {
    const parked = this.#parked.get(call);
    if (parked?.end === undefined) return;
    this.#parked.delete(call);
    parked.end.finish();
  }

  clear(): void {
    this.#parked.clear();
  }

  #park(call: Call): Parked {
    let parked = this.#parked.get(call);
    if (parked === undefined) {
      parked = { items: new Map(), end: undefined };
      this.#parked.set(call, parked);
    }
    return parked;
  }

  #release(call: Call): void {
    const parked = this.#parked.get(call);
    if (parked === undefined) return;
    for (;;) {
      const next = parked.items.get(call.items & 0xffff);
      if (next === undefined) break;
      parked.items.delete(call.items & 0xffff);
      call.items++;
      call.item(next.value, next.bytes);
    }
    if (parked.end !== undefined && call.items >= parked.end.items) {
      this.#parked.delete(call);
      parked.end.finish();
    } else if (parked.items.size === 0 && parked.end === undefined) {
      this.#parked.delete(call);
    }
  }
}
