import { type FrameMemory, SlabPool } from "../wire/frame-memory.ts";

/** Ends the life of what was made a short while ago and is not referred to any more. */
export type CollectYoung = () => void;

export interface ThreadMemoryOptions {
  readonly collectYoung: CollectYoung;
  nowMs(): number;
}

/** A frame larger than this has memory that it does not share. */
const LARGE_BYTES = 65_536;
/** So much arrives between two collections: the least if they are quick, the most if not, well before V8 begins by itself. */
const INTERVAL_BYTES = 8_388_608;
const MAX_INTERVAL_BYTES = 33_554_432;
/** A collection may take this much of the time that it is there to save. */
const SLOW_MS = 2;
/** Just under glibc's largest threshold. */
const PRIMING_BYTES = 33_423_360;

/**
 * Memory for the large frames of a thread, and an eye on the pieces of its streams.
 *
 * What arrives is given to users, so it can serve again only when the collector has found that nobody has it any more.
 * Left alone, V8 looks for that after 64 MB, and looks through the whole heap, which takes several times as long as
 * moving 64 MB does. Mostly such values are used once, soon, and then dropped, and collecting what is young finds that out
 * in a fraction of a millisecond. So after every few megabytes that is done here, and memory comes back while it is still
 * in the cache.
 */
export class ThreadMemory extends SlabPool implements FrameMemory {
  readonly #options: ThreadMemoryOptions;
  #arrivedBytes = 0;
  #intervalBytes = INTERVAL_BYTES;

  constructor(options: ThreadMemoryOptions) {
    super({
      receive: (bytes) => {
        this.arrived(bytes);
        return uninitialized(bytes);
      },
      fresh: uninitialized,
    });
    this.#options = options;
  }

  /** So many bytes have come, or are about to, in memory of their own. */
  arrived(bytes: number): void {
    if (bytes > LARGE_BYTES) this.#count(bytes);
  }

  /** Each piece is small, but of an upload there are so many that V8's 64 MB are soon full. */
  override streamed(bytes: number): void {
    this.#count(bytes);
  }

  #count(bytes: number): void {
    this.#arrivedBytes += bytes;
    if (this.#arrivedBytes < this.#intervalBytes) return;
    this.#arrivedBytes = 0;
    const { nowMs, collectYoung } = this.#options;
    const startedMs = nowMs();
    collectYoung();
    // Where much that is young is still in use, collecting it more often only moves it more often.
    if (nowMs() - startedMs > SLOW_MS) this.#intervalBytes = Math.min(this.#intervalBytes * 2, MAX_INTERVAL_BYTES);
    else this.#intervalBytes = Math.max(this.#intervalBytes / 2, INTERVAL_BYTES);
  }
}

let primed = false;

/** Not filled with zeros: the bytes are about to be written. */
function uninitialized(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes > LARGE_BYTES && !primed) prime();
  // Not the Buffer itself: its `slice` does not copy, and what is given to users would be one.
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}

/**
 * glibc gets every block over 128 KB from the kernel and returns it there, page by page, until it has freed a larger one
 * that came in this way; then it keeps blocks of that size. Freeing one of the largest size that counts makes it keep
 * all others. It is never touched, so it costs nothing; elsewhere it does no harm.
 */
function prime(): void {
  primed = true;
  new ArrayBuffer(PRIMING_BYTES).transfer(0);
}

/**
 * V8's own function, which is not to be seen unless it is asked for. Where it cannot be had V8 decides by itself, later: that
 * costs time, nothing else.
 */
function findCollector(): CollectYoung {
  let collect = (globalThis as { gc?: unknown }).gc;
  if (typeof collect !== "function") {
    try {
      // Loaded only here: a replica that gets nothing large has no time for them when it starts.
      const { setFlagsFromString } = process.getBuiltinModule("node:v8");
      setFlagsFromString("--expose-gc");
      collect = process.getBuiltinModule("node:vm").runInNewContext("gc");
      setFlagsFromString("--no-expose-gc");
    } catch {
      collect = undefined;
    }
  }
  if (typeof collect !== "function") return () => {};
  const collectAny = collect as (options: { readonly type: "minor" }) => void;
  return () => collectAny({ type: "minor" });
}

let collector: CollectYoung | undefined;

/** Asks V8 to, where that can be had. */
export function collectYoung(): void {
  (collector ??= findCollector())();
}

/** The memory of this thread. */
export const threadMemory: ThreadMemory = new ThreadMemory({
  collectYoung,
  nowMs: () => performance.now(),
});
