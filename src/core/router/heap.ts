/**
 * A binary heap: the item that goes before all others is found at once, added and removed in O(log n).
 *
 * `moved` tells where an item stands now, for those that need `fix` later.
 */
export class Heap<T> {
  readonly items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;
  readonly #moved: ((item: T, index: number) => void) | undefined;

  constructor(before: (a: T, b: T) => boolean, moved?: (item: T, index: number) => void) {
    this.#before = before;
    this.#moved = moved;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    this.items.push(item);
    this.#rise(this.items.length - 1, item);
  }

  pop(): T | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(0, last!);
    return first;
  }

  /** Puts the item at `index` where it belongs after its rank has changed. */
  fix(index: number): void {
    const item = this.items[index]!;
    this.#rise(index, item);
    if (this.items[index] === item) this.#sink(index, item);
  }

  /** Removes every item that `keep` does not want, in O(n). */
  filter(keep: (item: T) => boolean): void {
    const { items } = this;
    let kept = 0;
    for (const item of items) if (keep(item)) items[kept++] = item;
    items.length = kept;
    for (let at = (kept >> 1) - 1; at >= 0; at--) this.#sink(at, items[at]!);
  }

  clear(): void {
    this.items.length = 0;
  }

  #rise(start: number, item: T): void {
    let at = start;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = this.items[above]!;
      if (!this.#before(item, other)) break;
      this.#put(at, other);
      at = above;
    }
    this.#put(at, item);
  }

  #sink(start: number, item: T): void {
    const { items } = this;
    let at = start;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && this.#before(items[below + 1]!, items[below]!)) below++;
      const other = items[below]!;
      if (!this.#before(other, item)) break;
      this.#put(at, other);
      at = below;
    }
    this.#put(at, item);
  }

  #put(at: number, item: T): void {
    this.items[at] = item;
    this.#moved?.(item, at);
  }
}
