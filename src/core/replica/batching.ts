import { show } from "../deployment/option-checks.ts";
import { ConfigError } from "../errors.ts";
import { endOf } from "../handle/context.ts";
import { batchSize, batchWait, resolveBatchOptions, type BatchSettings } from "./batch-options.ts";
import { BatchQueue, type WaitingBatch } from "./batch-queue.ts";
import { runForResults, runForStreams, type RunInScope } from "./batch-run.ts";
import { ResultSeat, type Seat } from "./batch-seat.ts";
import { StreamSeat } from "./batch-stream.ts";
import { done, type Batch, type BatchOptions } from "./batch-types.ts";
import type { ReplicaIdentity } from "./replica.ts";
import { downstreamEnd } from "./downstream-end.ts";
import { PerReplica, runAt, type ReplicaFacilities, type Workplace } from "./workplace.ts";

type Handler = (items: unknown[]) => unknown;

/** Makes the `batch` that users import. */
export function makeBatch(place: Workplace): Batch {
  const batch = (handler: unknown, options: BatchOptions<never> = {}): unknown => {
    if (typeof handler !== "function") {
      throw new ConfigError(`batch() needs a handler, a function of an array of items, not ${show(handler)}.`, {
        path: "handler",
      });
    }
    const settings = resolveBatchOptions(options);
    const batched = isGenerator(handler)
      ? batchedStream(place, handler as Handler, settings)
      : batchedResult(place, handler as Handler, settings);
    return Object.assign(batched, {
      setMaxBatchSize(size: number): void {
        settings.maxBatchSize = batchSize(settings.sizeOf)(size, "maxBatchSize");
      },
      setBatchWaitTimeoutMs(ms: number): void {
        settings.waitMs = batchWait(ms, "batchWaitTimeoutMs");
      },
    });
  };
  return Object.assign(batch, { done }) as unknown as Batch;
}

function batchedResult(
  place: Workplace,
  handler: Handler,
  settings: BatchSettings<never>,
): (item: unknown) => Promise<unknown> {
  const queues = queuesOf<ResultSeat>(place, settings, (batch, run) => runForResults(batch, handler, run));
  return (item) => {
    const scope = place.contexts.get();
    const end = endOf(scope);
    if (end !== undefined) return Promise.reject(downstreamEnd(end));
    const seat = new ResultSeat(item, scope);
    enter(queues.of(place.identity()), seat);
    return seat.result;
  };
}

function batchedStream(
  place: Workplace,
  handler: Handler,
  settings: BatchSettings<never>,
): (item: unknown) => AsyncIterableIterator<unknown> {
  const queues = queuesOf<StreamSeat>(place, settings, (batch, run) => runForStreams(batch, handler, run));
  return (item) => {
    const scope = place.contexts.get();
    const seat = new StreamSeat(item, scope);
    const end = endOf(scope);
    if (end === undefined) enter(queues.of(place.identity()), seat);
    else seat.fail(downstreamEnd(end));
    return seat;
  };
}

/** One queue for each replica: batches of one never wait for, or mix with, those of another. */
function queuesOf<TSeat extends Seat>(
  place: Workplace,
  settings: BatchSettings<never>,
  runBatch: (batch: WaitingBatch<TSeat>, run: RunInScope) => Promise<void>,
): PerReplica<BatchQueue<TSeat>> {
  const queues = new PerReplica((identity) => {
    const facilities = identity === undefined ? undefined : place.facilities.get(identity);
    if (identity !== undefined && facilities !== undefined) warnOfLimit(settings, identity, facilities);
    const run: RunInScope = (scope, fn) => runAt(place, { identity, scope }, fn);
    return new BatchQueue<TSeat>({
      clock: facilities?.clock ?? place.clock,
      settings,
      run: (batch) => runBatch(batch, run),
    });
  });
  // Made in a constructor, it says what is wrong when the replica starts, not when the first request comes.
  const here = place.residence.get();
  if (here !== undefined) queues.of(here);
  return queues;
}

function enter<TSeat extends Seat>(queue: BatchQueue<TSeat>, seat: TSeat): void {
  try {
    queue.add(seat, seat.scope?.multiplexedModelId ?? "");
  } catch (error) {
    seat.fail(error);
  }
}

/** Whether it was written as `async function*`; also of a bound one. */
function isGenerator(handler: Function): boolean {
  return Object.prototype.toString.call(handler) === "[object AsyncGeneratorFunction]";
}

function warnOfLimit(
  settings: BatchSettings<never>,
  identity: ReplicaIdentity,
  { log, maxOngoingRequests }: ReplicaFacilities,
): void {
  const { maxBatchSize, maxConcurrentBatches, sizeOf } = settings;
  // Sizes by `batchSizeOf` and requests are different things.
  if (sizeOf !== undefined || maxBatchSize * maxConcurrentBatches <= maxOngoingRequests) return;
  log.warn(
    `Batches of deployment "${identity.deployment}" cannot fill: maxBatchSize (${maxBatchSize}) × maxConcurrentBatches (${maxConcurrentBatches}) is more than maxOngoingRequests (${maxOngoingRequests}). Raise maxOngoingRequests, or lower maxBatchSize.`,
  );
}
