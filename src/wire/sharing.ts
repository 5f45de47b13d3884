import type { SharedMemory } from "./shared-memory.ts";

/** What the connections of a process have in common where memory is lent: the memory, opened when it is first needed. */
export class Sharing {
  /** Connections whose other side maps what is lent to it. */
  borrowers = 0;
  readonly #open: () => SharedMemory | undefined;
  #memory: SharedMemory | undefined = undefined;
  #isOpened = false;

  /** @param open called once at most; undefined where there is no such memory. */
  constructor(open: () => SharedMemory | undefined) {
    this.#open = open;
  }

  get memory(): SharedMemory | undefined {
    if (!this.#isOpened) {
      this.#isOpened = true;
      this.#memory = this.#open();
    }
    return this.#memory;
  }

  close(): void {
    this.#isOpened = true;
    this.#memory?.close();
    this.#memory = undefined;
  }
}
