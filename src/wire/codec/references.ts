/** Looked through one by one up to here, which is faster than a Map's hashing. */
const LISTED = 64;
/** Up to here even the built-in search is not worth its call. */
const LOOPED = 12;

/** The objects that a message holds so far, with where each began. */
export class References {
  readonly #objects: (object | undefined)[] = new Array<undefined>(LISTED).fill(undefined);
  readonly #places: number[] = new Array<number>(LISTED).fill(0);
  #count = 0;
  #map: Map<object, number> | undefined = undefined;

  /** Where `value` began if it was met before, otherwise -1 and `place` is remembered for it. */
  meet(value: object, place: number): number {
    const count = this.#count;
    const objects = this.#objects;
    if (count < LOOPED) {
      for (let i = 0; i < count; i++) if (objects[i] === value) return this.#places[i]!;
    } else if (this.#map === undefined) {
      const i = objects.indexOf(value);
      if (i >= 0) return this.#places[i]!;
    } else {
      return this.#meetInMap(this.#map, value, place);
    }
    if (count === LISTED) return this.#meetInMap((this.#map = this.#moved()), value, place);
    objects[count] = value;
    this.#places[count] = place;
    this.#count = count + 1;
    return -1;
  }

  /** Forgets what was met at `place` or later: it was taken back. */
  rewind(place: number): void {
    if (this.#map !== undefined) {
      for (const [value, at] of this.#map) if (at >= place) this.#map.delete(value);
      return;
    }
    while (this.#count > 0 && this.#places[this.#count - 1]! >= place) this.#objects[--this.#count] = undefined;
  }

  /** Lets go of everything, so that no value outlives its message here. */
  clear(): void {
    this.#map = undefined;
    for (let i = 0; i < this.#count; i++) this.#objects[i] = undefined;
    this.#count = 0;
  }

  #meetInMap(map: Map<object, number>, value: object, place: number): number {
    const met = map.get(value);
    if (met !== undefined) return met;
    map.set(value, place);
    return -1;
  }

  #moved(): Map<object, number> {
    const map = new Map<object, number>();
    for (let i = 0; i < this.#count; i++) map.set(this.#objects[i]!, this.#places[i]!);
    return map;
  }
}
