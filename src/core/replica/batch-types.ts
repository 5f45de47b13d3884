/** Yielded by a batched generator in a caller's place: its stream ends, the others go on. Exported as `batch.done`. */
export const done: unique symbol = Symbol.for("heliostat.batch.done") as never;

/** How single items become batches. */
export interface BatchOptions<I> {
  /** How many items a batch has at most, or how large it is by `batchSizeOf`. @default 10 */
  maxBatchSize?: number;
  /**
   * How long, from its first item on, a batch that is not full waits for more, in milliseconds. 0: until the current
   * turn of the event loop ends. "adaptive": only as long as arrivals make it pay. @default 10
   */
  batchWaitTimeoutMs?: number | "adaptive";
  /** Batches that run at a time. Those that wait for a place go on filling. @default 1 */
  maxConcurrentBatches?: number;
  /** The size of what is batched, where it is not 1 an item (tokens, pixels). */
  batchSizeOf?: (items: readonly I[]) => number;
}

/** A batched function as its callers see it: one item in, its own result out. */
export interface Batched<I, O> {
  (item: I): Promise<O>;
  /** Counts for the next batch. */
  setMaxBatchSize(size: number): void;
  /** Counts for the next batch. */
  setBatchWaitTimeoutMs(ms: number): void;
}

/** A batched generator as its callers see it: one item in, a stream of its own out. */
export interface BatchedStream<I, O> {
  (item: I): AsyncIterableIterator<O>;
  /** Counts for the next batch. */
  setMaxBatchSize(size: number): void;
  /** Counts for the next batch. */
  setBatchWaitTimeoutMs(ms: number): void;
}

/** The type of `batch`. */
export interface Batch {
  /** One array in; the generator yields arrays: one item for each caller, at each step. */
  <I, O>(
    handler: (items: I[]) => AsyncGenerator<(O | Error | typeof done)[]>,
    options?: BatchOptions<I>,
  ): BatchedStream<I, O>;
  /** One array in, one array of the same length out. An `Error` in a place of it goes to that caller alone. */
  <I, O>(handler: (items: I[]) => Promise<(O | Error)[]>, options?: BatchOptions<I>): Batched<I, O>;
  /** Yielded in a caller's place: its stream ends, the others go on. */
  readonly done: typeof done;
}
