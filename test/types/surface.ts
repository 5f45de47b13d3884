/**
 * The package as the contract's example sees it.
 *
 * `batch` and `multiplexed` are not implemented yet. Their types stand here, so that the example can be checked in full;
 * each goes as soon as the package exports its own.
 */
export * from "../../src/index.ts";

interface Batched<I, O> {
  (item: I): Promise<O>;
}
interface BatchedStream<I, O> {
  (item: I): AsyncIterableIterator<O>;
}
export declare function batch<I, O>(
  handler: (items: I[]) => AsyncGenerator<(O | Error)[]>,
  options?: { maxBatchSize?: number },
): BatchedStream<I, O>;
export declare function batch<I, O>(
  handler: (items: I[]) => Promise<(O | Error)[]>,
  options?: { maxBatchSize?: number },
): Batched<I, O>;

export declare function multiplexed<M>(
  load: (modelId: string, signal: AbortSignal) => Promise<M>,
  options?: { maxModelsPerReplica?: number },
): (modelId?: string) => Promise<M>;
