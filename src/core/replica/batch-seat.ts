import type { Cancellable, RequestScope } from "../handle/context.ts";

/** Where a seat is: the batch, which is told when its caller leaves. */
export interface SeatHolder {
  left(seat: Seat, error: Error): void;
}

/** One caller in a batch: its item, the request it belongs to, and what it gets. */
export abstract class Seat implements Cancellable {
  readonly item: unknown;
  readonly scope: RequestScope | undefined;
  scopeIndex = -1;
  /** From when it is in a batch until its outcome is certain. */
  batch: SeatHolder | undefined = undefined;
  /** Why its request ended early, if it did. */
  endedBy: Error | undefined = undefined;

  constructor(item: unknown, scope: RequestScope | undefined) {
    this.item = item;
    this.scope = scope;
    scope?.adopt(this);
  }

  /** Its request was cancelled, or the request's time is up. */
  endWith(error: Error): void {
    if (this.endedBy !== undefined) return;
    this.endedBy = error;
    this.batch?.left(this, error);
  }

  /** Whether its caller still waits for what the batch will give. */
  abstract get isWanted(): boolean;

  /** Ends it with an error. Idempotent, as is every other end. */
  abstract fail(error: unknown): void;

  /** Undoes what ties it to its request and its batch. */
  protected release(): void {
    this.batch = undefined;
    if (this.scopeIndex >= 0) this.scope!.forget(this);
  }
}

/** The seat of a caller who waits for one result. */
export class ResultSeat extends Seat {
  readonly result: Promise<unknown>;
  readonly #outcome = Promise.withResolvers<unknown>();

  constructor(item: unknown, scope: RequestScope | undefined) {
    super(item, scope);
    this.result = this.#outcome.promise;
  }

  get isWanted(): boolean {
    return this.endedBy === undefined;
  }

  give(value: unknown): void {
    this.release();
    this.#outcome.resolve(value);
  }

  fail(error: unknown): void {
    this.release();
    this.#outcome.reject(error);
  }
}
