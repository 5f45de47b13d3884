import type { BinarySink, RegionReference } from "./codec/shared-binary.ts";
import type { Region, SharedMemory } from "./shared-memory.ts";

/** Large binary of a message that is not for any one connection yet. */
export class Shelf implements BinarySink {
  readonly regions: Region[] = [];
  readonly #memory: SharedMemory;
  readonly #places: number[] = [];

  constructor(memory: SharedMemory) {
    this.#memory = memory;
  }

  take(bytes: Uint8Array, at: number): RegionReference | undefined {
    const region = this.#memory.store(bytes);
    if (region === undefined) return undefined;
    this.regions.push(region);
    this.#places.push(at);
    return region;
  }

  rewind(at: number): void {
    while (this.#places.length > 0 && this.#places.at(-1)! >= at) {
      this.#places.pop();
      this.regions.pop()!.release(true);
    }
  }
}
