import { CallState } from "./call.ts";
import { cancelledError, OutgoingCall } from "./outgoing-call.ts";

/** Credit is given back when the reader has taken this much, so that the producer hears of it before it must stop. */
const RETURN_ITEMS = 128;
const RETURN_BYTES = 524_288;

type Step = IteratorResult<unknown, undefined>;
interface Waiter {
  resolve(step: Step): void;
  reject(error: unknown): void;
}

/** The call behind a stream: holds what has arrived and was not read yet. */
export class StreamCall extends OutgoingCall {
  #items: unknown[] = [];
  #sizes: number[] = [];
  #head = 0;
  #waiters: Waiter[] = [];
  #takenItems = 0;
  #takenBytes = 0;
  #end: { readonly error?: unknown } | undefined = undefined;
  #left = false;

  item(value: unknown, bytes: number): void {
    if (this.#waiters.length > 0) {
      this.#taken(bytes);
      this.#waiters.shift()!.resolve({ value, done: false });
      return;
    }
    this.#items.push(value);
    this.#sizes.push(bytes);
  }

  resolve(): void {
    this.release();
    this.#finish({});
  }

  reject(error: unknown): void {
    this.release();
    this.#finish({ error: this.explain(error) });
  }

  next(): Promise<Step> {
    if (this.#head < this.#items.length) {
      const value = this.#items[this.#head];
      const bytes = this.#sizes[this.#head]!;
      this.#items[this.#head++] = undefined;
      if (this.#head === this.#items.length) this.#drop();
      this.#taken(bytes);
      return Promise.resolve({ value, done: false });
    }
    const end = this.#end;
    if (end === undefined) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if (this.cancelled) return Promise.reject(cancelledError(this.requestId, causeOf(end.error)));
    if ("error" in end) {
      this.#end = {};
      return Promise.reject(end.error as Error);
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  /** The reader leaves: the producer stops, and further reading finds the end. */
  leave(): void {
    this.#left = true;
    this.#drop();
    if (this.state !== CallState.SETTLED) this.endWith(cancelledError(this.requestId));
    this.#end = {};
  }

  override cancel(reason?: unknown, hasReason = false): void {
    // What was received and not read is given up, also if the producer has finished by now and only the reader has not.
    const unread = this.#items.length > this.#head;
    if (this.state === CallState.SETTLED && unread && this.#end !== undefined) {
      this.cancelled = true;
      this.#end = {};
    }
    this.#drop();
    super.cancel(reason, hasReason);
  }

  #drop(): void {
    this.#items = [];
    this.#sizes = [];
    this.#head = 0;
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end = end;
    if (this.cancelled) this.#drop();
    const waiters = this.#waiters;
    this.#waiters = [];
    let first = true;
    for (const waiter of waiters) {
      if ("error" in end && !this.#left && (first || this.cancelled)) waiter.reject(end.error);
      else waiter.resolve({ value: undefined, done: true });
      first = false;
    }
    if (waiters.length > 0 && "error" in end && !this.cancelled) this.#end = {};
  }

  #taken(bytes: number): void {
    this.#takenItems++;
    this.#takenBytes += bytes;
    if (this.#takenItems < RETURN_ITEMS && this.#takenBytes < RETURN_BYTES) return;
    this.target.router.grant(this, this.#takenItems, this.#takenBytes);
    this.#takenItems = 0;
    this.#takenBytes = 0;
  }
}

/** What `.remote()` gives with `stream: true`. */
export class CallStream implements AsyncIterableIterator<unknown, undefined, undefined>, AsyncDisposable {
  readonly #call: StreamCall;

  constructor(call: StreamCall) {
    this.#call = call;
  }

  get requestId(): string {
    return this.#call.requestId;
  }

  get cancelled(): boolean {
    return this.#call.cancelled;
  }

  next(): Promise<Step> {
    return this.#call.next();
  }

  return(): Promise<Step> {
    this.#call.leave();
    return Promise.resolve({ value: undefined, done: true });
  }

  cancel(): void {
    this.#call.cancel();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#call.leave();
    return Promise.resolve();
  }

  toReadableStream(): ReadableStream<unknown> {
    const call = this.#call;
    return new ReadableStream(
      {
        async pull(controller) {
          const step = await call.next();
          if (step.done) controller.close();
          else controller.enqueue(step.value);
        },
        cancel() {
          call.leave();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

function causeOf(error: unknown): { cause?: unknown } {
  return error instanceof Error && "cause" in error ? { cause: error.cause } : {};
}
