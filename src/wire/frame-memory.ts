/** Where frames get memory from: one for all connections of a thread. */
export interface FrameMemory {
  /** Exactly so many bytes in an array buffer of their own, with anything in them, for a frame that arrives: it is given to users. */
  receive(bytes: number): Uint8Array<ArrayBuffer>;
  /** The same for a frame that is given away with its memory. */
  fresh(bytes: number): Uint8Array<ArrayBuffer>;
  /** At least so many bytes, with anything in them, to write frames into. */
  take(bytes: number): Uint8Array;
  /** Takes back what `take` gave: nobody looks at it any more. */
  give(slab: Uint8Array): void;
  /** Something small was sent. */
  age(): void;
  /** So many bytes of a stream have come, in memory of their own: small each time, but there may be many. */
  streamed(bytes: number): void;
}

/** A slab for small frames. */
export const SLAB_BYTES = 65_536;
/** Slabs for small frames that are kept. */
const MAX_SMALL = 16;
/** Slabs for large frames are kept up to this, all together: memory that is new costs more than writing it. */
const MAX_LARGE_BYTES = 41_943_040;
/** They are given back after so many small flushes in a row. */
const SMALL_FLUSHES = 4_096;

/** Keeps slabs that were written for those that are to be, the last one first: it is in the cache. */
export class SlabPool implements FrameMemory {
  readonly receive: (bytes: number) => Uint8Array<ArrayBuffer>;
  readonly fresh: (bytes: number) => Uint8Array<ArrayBuffer>;
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];
  #largeBytes = 0;
  #smallFlushes = 0;

  constructor(memory: Pick<FrameMemory, "receive" | "fresh">) {
    this.receive = (bytes) => memory.receive(bytes);
    this.fresh = (bytes) => memory.fresh(bytes);
  }

  /** Bytes of large slabs that nobody uses. */
  get keptBytes(): number {
    return this.#largeBytes;
  }

  take(bytes: number): Uint8Array {
    if (bytes <= SLAB_BYTES) return this.#small.pop() ?? this.fresh(SLAB_BYTES);
    this.#smallFlushes = 0;
    // Rounded up, so that frames of about the same size can have the same slab; at most twice as large as need be.
    const size = Math.ceil(bytes / SLAB_BYTES) * SLAB_BYTES;
    const large = this.#large;
    let best = -1;
    for (let i = large.length - 1; i >= 0; i--) {
      const { length } = large[i]!;
      if (length >= size && length <= size * 2 && (best < 0 || length < large[best]!.length)) best = i;
    }
    if (best < 0) return this.fresh(size);
    const [slab] = large.splice(best, 1);
    this.#largeBytes -= slab!.length;
    return slab!;
  }

  give(slab: Uint8Array): void {
    const { length } = slab;
    if (length === SLAB_BYTES) {
      if (this.#small.length < MAX_SMALL) this.#small.push(slab);
    } else if (length > SLAB_BYTES && length <= MAX_LARGE_BYTES) {
      this.#large.push(slab);
      this.#largeBytes += length;
      // The oldest go: sizes change, and what was not taken for long is not what is sent now.
      while (this.#largeBytes > MAX_LARGE_BYTES) this.#largeBytes -= this.#large.shift()!.length;
    }
  }

  streamed(_bytes: number): void {}

  age(): void {
    if (this.#largeBytes === 0 || ++this.#smallFlushes < SMALL_FLUSHES) return;
    this.#large.length = 0;
    this.#largeBytes = 0;
    this.#smallFlushes = 0;
  }
}
