import { HeliostatError } from "../errors.ts";
import type { ResponseHead } from "./exchange.ts";
import type { ExchangeHost, IncomingExchange } from "./incoming-exchange.ts";
import { PART_BYTES } from "./parts.ts";
import { withLength } from "./response-head.ts";

/** A body up to this size goes in one frame with the head, if it is whole at once. */
export const WHOLE_BYTES = 65_536;
/**
 * So many promise jobs the head waits for the body: one that was made of a string or of bytes gives its only chunk and its
 * end within them, and then all goes in one piece.
 */
const GRACE_JOBS = 8;

type Step = ReadableStreamReadResult<unknown>;

/** Sends one response whose body is a stream: its head at once, and each chunk as it comes, as long as there is credit. */
export class ResponseSender {
  readonly #exchange: IncomingExchange;
  readonly #host: ExchangeHost;
  #reader!: ReadableStreamDefaultReader<unknown>;
  #cancelled: Promise<void> | undefined = undefined;
  #resume: (() => void) | undefined = undefined;
  /** The outcome was told. */
  #isOver = false;

  constructor(exchange: IncomingExchange, host: ExchangeHost) {
    this.#exchange = exchange;
    this.#host = host;
  }

  /** Sends a body that is there as a whole, but too large for one frame. Never rejects. */
  async sendBytes(head: ResponseHead, bytes: Uint8Array): Promise<void> {
    this.#onStop(() => this.#resume?.());
    try {
      this.#exchange.sendHead(withLength(head, bytes.byteLength));
      await this.#sendChunk(bytes);
      this.#succeed((others) => this.#exchange.end(others));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Sends a body as it comes, or, for a client that asked for the head alone, what is known of it. Never rejects. */
  async send(head: ResponseHead, body: ReadableStream<unknown>, isHead: boolean): Promise<void> {
    try {
      this.#reader = readerOf(body);
      // A read that is under way may never end: its body is let go of, and then the request is over.
      this.#onStop(() => void this.#cancelInContext().then(() => this.#fail(this.#exchange.endedBy)));
      await this.#send(head, isHead);
    } catch (error) {
      if (this.#reader !== undefined) await this.#cancel(error);
      this.#fail(error);
    }
  }

  /** What happens if the request ends early, after what else does then. */
  #onStop(stop: () => void): void {
    const before = this.#exchange.onStop;
    this.#exchange.onStop = () => {
      before?.();
      stop();
    };
  }

  #succeed(tell: (othersOngoing: number) => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.succeed(this.#exchange, tell);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.fail(this.#exchange, this.#exchange.endedBy ?? error);
  }

  async #send(head: ResponseHead, isHead: boolean): Promise<void> {
    const exchange = this.#exchange;
    const reader = this.#reader;
    let reading = reader.read();
    let step = await soon(reading);
    let chunk: Uint8Array = NO_BYTES;
    // Without a chunk before it, an error is all that there is to tell.
    if (step === FAILED) step = await reading;
    if (step?.done === false) {
      chunk = bytesOf(step.value);
      reading = reader.read();
      step = await soon(reading);
    }
    this.#checkStopped();
    const isWhole = step !== FAILED && step?.done === true;
    const length = isWhole ? chunk.byteLength : undefined;
    if (isHead) {
      // The code behind the rest of it is stopped: nobody will read that.
      if (length === undefined) await this.#cancel(undefined);
      const told = length === undefined ? head : withLength(head, length);
      this.#succeed((others) => exchange.respond({ head: told, body: NO_BYTES }, others));
      return;
    }
    if (length !== undefined && length <= WHOLE_BYTES) {
      this.#succeed((others) => exchange.respond({ head, body: chunk }, others));
      return;
    }
    exchange.sendHead(length === undefined ? head : withLength(head, length));
    await this.#sendChunk(chunk);
    await this.#sendRest(await this.#checked(reading), reader);
  }

  async #sendRest(first: Step, reader: ReadableStreamDefaultReader<unknown>): Promise<void> {
    for (let step = first; !step.done; step = await this.#checked(reader.read()))
      await this.#sendChunk(bytesOf(step.value));
    this.#succeed((others) => this.#exchange.end(others));
  }

  async #sendChunk(chunk: Uint8Array): Promise<void> {
    const exchange = this.#exchange;
    for (let at = 0; at < chunk.byteLength; at += PART_BYTES) {
      const part = chunk.byteLength <= PART_BYTES ? chunk : chunk.subarray(at, at + PART_BYTES);
      if (exchange.sendChunk(part)) continue;
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
        exchange.onCredit = resolve;
      });
      exchange.onCredit = undefined;
      this.#checkStopped();
    }
  }

  async #checked(step: Promise<Step>): Promise<Step> {
    const result = await step;
    this.#checkStopped();
    return result;
  }

  /** Throws if the request has ended early. */
  #checkStopped(): void {
    const { endedBy } = this.#exchange;
    if (endedBy !== undefined) throw endedBy;
  }

  /** Lets the producer clean up; what it throws while it does is nothing that anybody waits for. */
  #cancel(reason: unknown): Promise<void> {
    return (this.#cancelled ??= cancelled(this.#reader, reason));
  }

  #cancelInContext(): Promise<void> {
    const { endedBy } = this.#exchange;
    return this.#host.call(this.#exchange, this.#cancel, this, [endedBy]) as Promise<void>;
  }
}

const NO_BYTES = new Uint8Array(0);

/** Libraries that bring a Response of their own may have the platform's other streams as its body. */
function readerOf(body: ReadableStream<unknown>): ReadableStreamDefaultReader<unknown> {
  if (typeof body.getReader === "function") return body.getReader();
  // Types do not know it yet.
  const { from } = ReadableStream as unknown as { from(items: unknown): ReadableStream<unknown> };
  return from.call(ReadableStream, body).getReader();
}

/** Lets whoever makes a body clean up. Never throws, whatever its code does. */
export async function cancelled(body: { cancel(reason?: unknown): unknown }, reason?: unknown): Promise<void> {
  try {
    await body.cancel(reason);
  } catch {
    // Nobody waits for it.
  }
}

const FAILED: unique symbol = Symbol("failed");

/** What a promise becomes within a few promise jobs; undefined if it takes longer. */
async function soon<T>(promise: Promise<T>): Promise<T | typeof FAILED | undefined> {
  let outcome: T | typeof FAILED | undefined;
  promise.then(
    (value) => {
      outcome = value;
    },
    () => {
      outcome = FAILED;
    },
  );
  for (let jobs = 0; jobs < GRACE_JOBS && outcome === undefined; jobs++) await undefined;
  return outcome;
}

const encoder = new TextEncoder();

/** A stream of strings is no body by the standard, but what a handle of a text generator gives. */
function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === "string") return encoder.encode(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  const what = chunk === null ? "null" : typeof chunk;
  throw new HeliostatError(
    `The body of a Response yielded ${what}; it must yield bytes or strings. Use sse(items) to send values as events.`,
  );
}
