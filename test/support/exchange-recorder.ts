import type {
  CloseReason,
  Exchange,
  ExchangeListener,
  ExchangeOptions,
  OpenExchange,
  ResponseHead,
} from "../../src/core/http/exchange.ts";

export interface RequestFields {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** undefined: none; "parts": the test writes it. */
  readonly body?: Uint8Array | string | "parts";
  readonly isStreamed?: boolean;
  readonly webSocket?: boolean;
  readonly requestId?: string;
  readonly route?: string;
  readonly timeoutMs?: number;
  readonly multiplexedModelId?: string;
  readonly sessionId?: string;
}

export function exchangeOptions(fields: RequestFields = {}): ExchangeOptions {
  const { method = "GET", url = "http://localhost/", headers = [], requestId = "request-1", route = "/" } = fields;
  const body = fields.isStreamed === true ? undefined : new TextEncoder().encode(String(fields.body ?? ""));
  return {
    head: { method, url, headers },
    body: fields.webSocket === true ? undefined : fields.body instanceof Uint8Array ? fields.body : body,
    webSocket: fields.webSocket ?? false,
    requestId,
    route,
    timeoutMs: fields.timeoutMs,
    ...(fields.multiplexedModelId === undefined ? {} : { multiplexedModelId: fields.multiplexedModelId }),
    ...(fields.sessionId === undefined ? {} : { sessionId: fields.sessionId }),
  };
}

/** An exchange that notes what it is told; by default it takes everything at once. */
export class ExchangeRecorder implements ExchangeListener {
  readonly exchange: Exchange;
  readonly events: string[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly messages: (string | Uint8Array)[] = [];
  head: ResponseHead | undefined = undefined;
  error: unknown = undefined;
  close: CloseReason | undefined = undefined;
  /** Bytes that were told and not taken. */
  untaken = 0;
  takes = true;
  /** Resolves at the end, with an error or not. */
  readonly over: Promise<void>;
  onChange: (() => void) | undefined = undefined;
  readonly #end: () => void;
  #wake: (() => void)[] = [];

  constructor(open: OpenExchange, fields: RequestFields = {}, app = "default") {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#end = resolve;
    this.exchange = open(app, exchangeOptions(fields), this);
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** Waits for something to be told. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  onHead(head: ResponseHead): void {
    this.head = head;
    this.#note("head");
  }

  onChunk(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.#take(chunk.byteLength);
    this.#note("chunk");
  }

  onMessage(message: string | Uint8Array, bytes: number): void {
    this.messages.push(message);
    this.#take(bytes);
    this.#note("message");
  }

  onEnd(close?: CloseReason): void {
    this.close = close;
    this.#note("end");
    this.#end();
  }

  onError(error: unknown): void {
    this.error = error;
    this.#note("error");
    this.#end();
  }

  onRoom(): void {
    this.#note("room");
  }

  takeAll(): void {
    this.takes = true;
    const bytes = this.untaken;
    this.untaken = 0;
    this.exchange.taken(bytes);
  }

  /** Writes as a proxy does: waits while there is no room. */
  async write(chunk: Uint8Array): Promise<void> {
    const rooms = this.events.filter((event) => event === "room").length;
    if (this.exchange.write(chunk)) return;
    await this.until(
      () =>
        this.events.filter((event) => event === "room").length > rooms || /^(?:end|error)$/.test(this.events.at(-1)!),
    );
  }

  #take(bytes: number): void {
    if (this.takes) this.exchange.taken(bytes);
    else this.untaken += bytes;
  }

  #note(event: string): void {
    this.events.push(event);
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
