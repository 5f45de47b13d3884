import { HeliostatError } from "../errors.ts";
import type { ResponseHead } from "./exchange.ts";
import type { ExchangeHost, IncomingExchange } from "./incoming-exchange.ts";
import { PART_BYTES } from "./parts.ts";

/** A body up to this size goes in one frame with the head, if it is whole at once. */
const WHOLE_BYTES = 65_536;
/** A body that was made of a string or of bytes ends so many promise jobs after its only chunk. */
const END_JOBS = 6;

type Step = ReadableStreamReadResult<unknown>;

/** Sends one response with a body: chunk by chunk, each at once, as long as there is credit. */
export class ResponseSender {
  readonly #exchange: IncomingExchange;
  readonly #host: ExchangeHost;
  #reader!: ReadableStreamDefaultReader<unknown>;
  #cancelled: Promise<void> | undefined = undefined;
  #resume: (() => void) | undefined = undefined;

  constructor(exchange: IncomingExchange, host: ExchangeHost) {
    this.#exchange = exchange;
    this.#host = host;
  }

  /** Never rejects. */
  async send(response: Response): Promise<void> {
    const exchange = this.#exchange;
    const stopBefore = exchange.onStop;
    try {
      this.#reader = response.body!.getReader();
      exchange.onStop = () => {
        stopBefore?.();
        this.#host.call(exchange, this.#cancel, this, [exchange.endedBy]);
        this.#resume?.();
      };
      await this.#send(headOf(response));
    } catch (error) {
      if (this.#reader !== undefined) await this.#cancel(error);
      this.#host.fail(exchange, exchange.endedBy ?? error);
    }
  }

  async #send(head: ResponseHead): Promise<void> {
    const exchange = this.#exchange;
    const reader = this.#reader;
    let step: Step = await this.#checked(reader.read());
    let chunk = step.done ? NO_BYTES : bytesOf(step.value);
    let next: Promise<Step> | undefined;
    if (!step.done && chunk.byteLength <= WHOLE_BYTES) {
      next = reader.read();
      const end = await soon(next);
      if (end?.done === true) step = end;
    }
    if (step.done) {
      this.#checkStopped();
      this.#host.succeed(exchange, (others) => exchange.respond({ head, body: chunk }, others));
      return;
    }
    exchange.sendHead(head);
    for (;;) {
      await this.#sendChunk(chunk);
      step = await this.#checked(next ?? reader.read());
      next = undefined;
      if (step.done) break;
      chunk = bytesOf(step.value);
    }
    this.#host.succeed(exchange, (others) => exchange.end(others));
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
    return (this.#cancelled ??= this.#reader.cancel(reason).catch(() => {}));
  }
}

const NO_BYTES = new Uint8Array(0);

/** What a promise becomes within a few promise jobs; undefined if it takes longer, or rejects. */
async function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  let value: T | undefined;
  promise.then(
    (result) => {
      value = result;
    },
    () => {},
  );
  for (let jobs = 0; jobs < END_JOBS && value === undefined; jobs++) await undefined;
  return value;
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

/** Also a Response of another copy of the class, as libraries bring along. */
export function isResponse(value: unknown): value is Response {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Response) return true;
  return (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === "Response";
}

export function headOf({ status, statusText, headers }: Response): ResponseHead {
  // Several Set-Cookie come one by one.
  return { status, statusText, headers: [...headers] };
}
