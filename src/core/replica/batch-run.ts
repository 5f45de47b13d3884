import { HeliostatError } from "../errors.ts";
import type { RequestScope } from "../handle/context.ts";
import type { ResultSeat, Seat, SeatHolder } from "./batch-seat.ts";
import type { WaitingBatch } from "./batch-queue.ts";
import type { StreamSeat } from "./batch-stream.ts";
import { done } from "./batch-types.ts";
import { SharedScope } from "./shared-scope.ts";

/** Runs user code of a batch in its context; `scope` is undefined if nobody in it has a request. */
export type RunInScope = <T>(scope: RequestScope | undefined, fn: () => T) => T;

/** Items that one caller of a batched generator may leave unread before the whole batch waits for it. */
const WINDOW_ITEMS = 256;

/** Calls the handler once, and gives each caller its own result. Never rejects. */
export async function runForResults(
  batch: WaitingBatch<ResultSeat>,
  handler: (items: unknown[]) => unknown,
  run: RunInScope,
): Promise<void> {
  const running = new RunningBatch(batch);
  const { seats } = running;
  try {
    const results = await run(running.scope, () => handler(running.items()));
    checkPlaces(results, seats.length, "returned");
    seats.forEach((seat, i) => {
      const result = results[i];
      // The work of a caller who was cancelled meanwhile went on with that of the others; its request ends with it.
      if (seat.endedBy !== undefined) seat.fail(seat.endedBy);
      else if (result instanceof Error) seat.fail(result);
      else seat.give(result);
    });
  } catch (error) {
    for (const seat of seats) seat.fail(seat.endedBy ?? error);
  } finally {
    running.scope?.end();
  }
}

/** Steps the handler's generator as long as somebody reads, and gives each caller its items. Never rejects. */
export async function runForStreams(
  batch: WaitingBatch<StreamSeat>,
  handler: (items: unknown[]) => unknown,
  run: RunInScope,
): Promise<void> {
  const running = new RunningBatch(batch);
  const { scope, seats } = running;
  let generator: AsyncGenerator<unknown, unknown, undefined> | undefined;
  try {
    generator = run(scope, () => handler(running.items())) as typeof generator & {};
    const step = (): Promise<IteratorResult<unknown, unknown>> => generator!.next();
    while (seats.some(({ isWanted }) => isWanted)) {
      const { value, done: isLast } = await run(scope, step);
      if (isLast === true) break;
      checkPlaces(value, seats.length, "yielded");
      seats.forEach((seat, i) => deal(seat, value[i]));
      await room(seats);
    }
    for (const seat of seats) seat.finish();
  } catch (error) {
    for (const seat of seats) seat.fail(error);
  }
  try {
    await run(scope, () => generator?.return(undefined));
  } catch {
    // Whoever could be told of it has left, or has been told of the error before it.
  }
  scope?.end();
}

/** A batch that was handed to its handler. */
class RunningBatch<TSeat extends Seat> implements SeatHolder {
  readonly seats: readonly TSeat[];
  readonly scope: SharedScope | undefined;

  constructor(batch: WaitingBatch<TSeat>) {
    this.seats = batch.seats;
    const scopes = this.seats.flatMap(({ scope }) => (scope === undefined ? [] : [scope]));
    const [first, ...others] = scopes;
    this.scope =
      first === undefined
        ? undefined
        : new SharedScope([first, ...others], {
            modelId: batch.modelId,
            hasDeadline: scopes.length === this.seats.length,
          });
    for (const seat of this.seats) seat.batch = this;
  }

  /** For the handler, which may change the array. */
  items(): unknown[] {
    return this.seats.map(({ item }) => item);
  }

  left(_seat: Seat, error: Error): void {
    if (!this.seats.some(({ isWanted }) => isWanted)) this.scope?.stop(error);
  }
}

function deal(seat: StreamSeat, value: unknown): void {
  if (value === done) seat.finish();
  else if (value instanceof Error) seat.fail(value);
  else seat.give(value);
}

/** Resolves when somebody waits for an item and nobody has too many, or when all have left. */
async function room(seats: readonly StreamSeat[]): Promise<void> {
  for (;;) {
    const reading = seats.filter(({ isWanted }) => isWanted);
    if (
      reading.length === 0 ||
      (reading.some(({ isWaiting }) => isWaiting) && reading.every(({ unread }) => unread < WINDOW_ITEMS))
    )
      return;
    const changed = Promise.withResolvers<void>();
    for (const seat of reading) seat.onChange = changed.resolve;
    await changed.promise;
  }
}

function checkPlaces(given: unknown, items: number, verb: "returned" | "yielded"): asserts given is unknown[] {
  if (Array.isArray(given) && given.length === items) return;
  const what = Array.isArray(given) ? `an array of ${given.length}` : given === null ? "null" : typeof given;
  throw new HeliostatError(
    `The handler of a batch got ${items} items and ${verb} ${what}. It must give an array with one place for each item, in their order.`,
  );
}
