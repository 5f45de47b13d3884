import type { SharedMemory } from "./shared-memory.ts";

/** Finds out whether there is such memory, and opens it. */
export type OpenSharedMemory = () => Promise<SharedMemory | undefined>;

/** What the connections of a process have in common where memory is lent: the memory, opened when it is first needed. */
export class Sharing {
  /** Connections whose other side maps what is lent to it. */
  borrowers = 0;
  /** Undefined until it is open, and where there is none. */
  memory: SharedMemory | undefined = undefined;
  readonly #open: OpenSharedMemory;
  #opening: Promise<void> | undefined = undefined;
  #isClosed = false;

  constructor(open: OpenSharedMemory) {
    this.#open = open;
  }

  /** Gives the memory to `use`, later if it is to be opened first; never, if there is none. */
  whenOpen(use: (memory: SharedMemory) => void): void {
    if (this.memory !== undefined) {
      use(this.memory);
      return;
    }
    this.#opening ??= this.#start();
    void this.#opening.then(() => {
      if (this.memory !== undefined) use(this.memory);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.memory?.close();
    this.memory = undefined;
  }

  async #start(): Promise<void> {
    // Whatever keeps it from opening: without it everything travels as it does elsewhere.
    const memory = this.#isClosed ? undefined : await this.#open().catch(() => undefined);
    if (this.#isClosed) memory?.close();
    else this.memory = memory;
  }
}
