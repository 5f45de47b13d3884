import type { Clock, Timer } from "../contracts/clock.ts";
import { HeliostatError } from "../errors.ts";
import { ArrivalPace } from "./arrival-pace.ts";
import type { BatchSettings } from "./batch-options.ts";
import type { Seat, SeatHolder } from "./batch-seat.ts";

export interface BatchQueueOptions<TSeat extends Seat> {
  readonly clock: Clock;
  readonly settings: BatchSettings<never>;
  /** Runs a batch; resolves when its work is over and never rejects. */
  run(batch: WaitingBatch<TSeat>): Promise<void>;
}

/** Below this a timer is not exact enough to be worth setting: the end of the turn comes as soon. */
const SHORTEST_TIMER_MS = 0.5;

/**
 * Turns single items into batches, and runs as many of those at a time as it may.
 *
 * A batch is open until it is full or runs: when its wait is over but no place is free, it goes on filling.
 */
export class BatchQueue<TSeat extends Seat> {
  readonly #options: BatchQueueOptions<TSeat>;
  /** By model; each gets the next item of its model. */
  readonly #open = new Map<string, WaitingBatch<TSeat>>();
  /** Those that may run, longest due first. */
  readonly #due: WaitingBatch<TSeat>[] = [];
  readonly #pace = new ArrivalPace();
  #running = 0;

  constructor(options: BatchQueueOptions<TSeat>) {
    this.#options = options;
  }

  /** @throws {HeliostatError} if the item is too large for any batch, and whatever `batchSizeOf` throws. */
  add(seat: TSeat, modelId: string): void {
    this.#pace.arrived(this.#options.clock.now());
    let batch = this.#open.get(modelId);
    const joined = batch?.sizeWith(seat);
    if (batch === undefined || joined! > batch.maxSize) {
      const next = this.#begin(modelId);
      const alone = next.sizeWith(seat);
      if (alone > next.maxSize) throw tooLarge(alone, next.maxSize);
      if (batch !== undefined) this.#close(batch);
      this.#open.set(modelId, next);
      batch = next;
      batch.take(seat, alone);
    } else {
      batch.take(seat, joined!);
    }
    if (batch.size >= batch.maxSize) this.#close(batch);
    else this.#arm(batch);
  }

  #begin(modelId: string): WaitingBatch<TSeat> {
    const { clock, settings } = this.#options;
    return new WaitingBatch({ modelId, settings, firstMs: clock.now(), onEmpty: (batch) => this.#drop(batch) });
  }

  /** Sees to it that the batch goes when its wait is over. */
  #arm(batch: WaitingBatch<TSeat>): void {
    const { clock } = this.#options;
    const nowMs = clock.now();
    if (batch.isDue || batch.goesNextTurn || (batch.waitMs !== "adaptive" && batch.seats.length > 1)) return;
    const dueAtMs = batch.waitMs === "adaptive" ? this.#pace.dueAtMs(batch.firstMs, nowMs) : nowMs + batch.waitMs;
    batch.timer?.cancel();
    batch.timer = undefined;
    const waitMs = dueAtMs - nowMs;
    if (waitMs >= SHORTEST_TIMER_MS) {
      batch.timer = clock.setTimer(waitMs, () => this.#makeDue(batch));
    } else {
      batch.goesNextTurn = true;
      clock.nextTurn(() => this.#makeDue(batch));
    }
  }

  /** It takes no more items. */
  #close(batch: WaitingBatch<TSeat>): void {
    if (this.#open.get(batch.modelId) === batch) this.#open.delete(batch.modelId);
    this.#makeDue(batch);
  }

  #makeDue(batch: WaitingBatch<TSeat>): void {
    if (batch.isDue || batch.seats.length === 0) return;
    batch.isDue = true;
    batch.timer?.cancel();
    this.#due.push(batch);
    this.#launch();
  }

  /** Its last caller has left. */
  #drop(batch: WaitingBatch<TSeat>): void {
    batch.timer?.cancel();
    if (this.#open.get(batch.modelId) === batch) this.#open.delete(batch.modelId);
    const at = this.#due.indexOf(batch);
    if (at >= 0) this.#due.splice(at, 1);
  }

  #launch(): void {
    const { clock, settings, run } = this.#options;
    while (this.#due.length > 0 && this.#running < settings.maxConcurrentBatches) {
      const batch = this.#due.shift()!;
      if (this.#open.get(batch.modelId) === batch) this.#open.delete(batch.modelId);
      this.#running++;
      const startMs = clock.now();
      void run(batch).then(() => {
        this.#running--;
        this.#pace.ran(clock.now() - startMs);
        this.#launch();
      });
    }
  }
}

/** A batch in the making. It keeps the settings it began with. */
export class WaitingBatch<TSeat extends Seat> implements SeatHolder {
  readonly modelId: string;
  readonly seats: TSeat[] = [];
  readonly firstMs: number;
  readonly maxSize: number;
  readonly waitMs: number | "adaptive";
  readonly #sizeOf: ((items: readonly never[]) => number) | undefined;
  readonly #onEmpty: (batch: WaitingBatch<TSeat>) => void;
  size = 0;
  isDue = false;
  goesNextTurn = false;
  timer: Timer | undefined = undefined;

  constructor(options: {
    modelId: string;
    settings: BatchSettings<never>;
    firstMs: number;
    onEmpty: (batch: WaitingBatch<TSeat>) => void;
  }) {
    const { settings } = options;
    this.modelId = options.modelId;
    this.firstMs = options.firstMs;
    this.maxSize = settings.maxBatchSize;
    this.waitMs = settings.waitMs;
    this.#sizeOf = settings.sizeOf;
    this.#onEmpty = options.onEmpty;
  }

  sizeWith(seat: TSeat): number {
    return this.#sizeOf === undefined ? this.seats.length + 1 : this.#measure([...this.seats, seat]);
  }

  take(seat: TSeat, size: number): void {
    this.seats.push(seat);
    this.size = size;
    seat.batch = this;
  }

  left(seat: TSeat, error: Error): void {
    const at = this.seats.indexOf(seat);
    if (at < 0) return;
    this.seats.splice(at, 1);
    seat.fail(error);
    if (this.seats.length === 0) this.#onEmpty(this);
    else this.size = this.#sizeOf === undefined ? this.seats.length : this.#sizeLeft();
  }

  /** A user's mistake is told to those who come, not to the one who leaves: without a size the old one stays. */
  #sizeLeft(): number {
    try {
      return this.#measure(this.seats);
    } catch {
      return this.size;
    }
  }

  #measure(seats: readonly TSeat[]): number {
    const size: unknown = this.#sizeOf!(seats.map(({ item }) => item as never));
    if (typeof size === "number" && size >= 0) return size;
    throw new HeliostatError(`batchSizeOf() gave ${String(size)}; it must give a number of at least 0.`);
  }
}

function tooLarge(size: number, maxSize: number): HeliostatError {
  return new HeliostatError(
    `The item is too large for any batch: its size is ${size}, and maxBatchSize is ${maxSize}. Send a smaller one, or raise maxBatchSize.`,
  );
}
