import { RequestCancelledError } from "../errors.ts";
import type { RequestScope } from "../handle/context.ts";
import { Seat } from "./batch-seat.ts";

type Step = IteratorResult<unknown, undefined>;

/** The seat of a caller who reads a stream, and the stream that it reads. */
export class StreamSeat extends Seat implements AsyncIterableIterator<unknown, undefined, undefined> {
  /** Nothing more comes: it was ended, or its reader has left. */
  isOver = false;
  /** Called once when it is read or left. */
  onChange: (() => void) | undefined = undefined;
  readonly #items: unknown[] = [];
  readonly #readers: PromiseWithResolvers<Step>[] = [];
  /** What the reader gets after the items, once. */
  #error: { readonly value: unknown } | undefined = undefined;

  constructor(item: unknown, scope: RequestScope | undefined) {
    super(item, scope);
    // A request that drops its stream must not hold up the others of the batch.
    if (scope !== undefined && !scope.isOver) scope.onEnd(() => this.#leave());
  }

  get isWanted(): boolean {
    return !this.isOver;
  }

  get isWaiting(): boolean {
    return this.#readers.length > 0;
  }

  get unread(): number {
    return this.#items.length;
  }

  give(value: unknown): void {
    if (this.isOver) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#items.push(value);
    else reader.resolve({ value, done: false });
  }

  finish(): void {
    if (!this.#end()) return;
    for (const reader of this.#readers.splice(0)) reader.resolve({ value: undefined, done: true });
  }

  fail(error: unknown): void {
    if (!this.#end()) return;
    const [first, ...others] = this.#readers.splice(0);
    if (first === undefined) this.#error = { value: error };
    else first.reject(error);
    for (const reader of others) reader.resolve({ value: undefined, done: true });
  }

  override endWith(error: Error): void {
    const { batch } = this;
    if (this.isOver) return;
    this.endedBy = error;
    this.#items.length = 0;
    this.fail(error);
    batch?.left(this, error);
  }

  next(): Promise<Step> {
    if (this.#items.length > 0) {
      const value = this.#items.shift();
      this.#changed();
      return Promise.resolve({ value, done: false });
    }
    if (this.#error !== undefined) {
      const { value } = this.#error;
      this.#error = undefined;
      return Promise.reject(value);
    }
    if (this.isOver) return Promise.resolve({ value: undefined, done: true });
    const reader = Promise.withResolvers<Step>();
    this.#readers.push(reader);
    this.#changed();
    return reader.promise;
  }

  return(): Promise<Step> {
    this.#leave();
    return Promise.resolve({ value: undefined, done: true });
  }

  throw(error?: unknown): Promise<Step> {
    this.#leave();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Its reader wants no more. */
  #leave(): void {
    const { batch } = this;
    this.#items.length = 0;
    this.#error = undefined;
    this.finish();
    const requestId = this.scope?.requestId ?? "";
    batch?.left(this, new RequestCancelledError("Everyone who read the streams of a batch has left.", { requestId }));
  }

  #end(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.release();
    this.#changed();
    return true;
  }

  #changed(): void {
    const { onChange } = this;
    this.onChange = undefined;
    onChange?.();
  }
}
