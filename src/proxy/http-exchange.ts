import type { IncomingMessage, ServerResponse } from "node:http";
import type { Exchange, ExchangeListener, ResponseHead } from "../core/http/exchange.ts";
import { errorText } from "../core/error-text.ts";
import { HeliostatError } from "../core/errors.ts";
import { threadMemory } from "../transport/thread-memory.ts";
import { errorReply, plain, type PlainReply } from "./error-reply.ts";
import { closeSlowly } from "./close-slowly.ts";
import type { HeadFields } from "./request-head.ts";
import type { RequestTarget } from "./request-target.ts";
import { breakOff } from "./break-off.ts";
import type { Receiving } from "./receive-watch.ts";
import { responseFields } from "./response-fields.ts";
import { sendReply } from "./send-reply.ts";
import type { ProxySettings } from "./settings.ts";

/** What a client that left before its answer counts as. */
const CLIENT_GONE = 499;
/** A body up to this size is written as text. */
const MAX_TEXT_BYTES = 1_024;
const NO_BYTES = new Uint8Array(0);
/** Where a request and its response keep the exchange: listeners need no closures of their own then. */
const EXCHANGE: unique symbol = Symbol("exchange");

type Carrier = { [EXCHANGE]?: HttpExchange };
export type AppTarget = Extract<RequestTarget, { readonly route: unknown }>;

export interface HttpExchangeOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: AppTarget;
  readonly fields: HeadFields;
}

/**
 * One request of a client and its answer by a replica: bytes are passed on as they come, both ways, and whoever is slow
 * holds back the other.
 */
export class HttpExchange implements ExchangeListener, Receiving {
  readonly #settings: ProxySettings;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #target: AppTarget;
  readonly #fields: HeadFields;
  readonly #startedMs: number;
  lastReceivedMs = 0;
  #exchange: Exchange | undefined = undefined;
  #status = 0;
  #bodyBytes = 0;
  /** Of the response, not yet taken by the client. */
  #untakenBytes = 0;
  #isOver = false;

  constructor(settings: ProxySettings, { request, response, target, fields }: HttpExchangeOptions) {
    this.#settings = settings;
    this.#request = request;
    this.#response = response;
    this.#target = target;
    this.#fields = fields;
    this.#startedMs = settings.clock.now();
    (request as Carrier)[EXCHANGE] = this;
    (response as Carrier)[EXCHANGE] = this;
    response.on("close", onClose);
  }

  /** Begins with what is there of the body: often all of it. */
  open(): void {
    const { method } = this.#request;
    // The body of a GET means nothing; node:http reads it away.
    if (!this.#fields.hasBody || method === "GET" || method === "HEAD") this.#open(NO_BYTES);
    else if ((this.#fields.contentLength ?? 0) > this.#settings.maxBodyBytes) this.#refuseBody();
    // What came in one packet with the head is there in the next tick.
    else process.nextTick(openWithBody, this);
  }

  /** Opens an exchange whose body was, or is being, received. */
  openWithBody(): void {
    const request = this.#request;
    if (this.#isOver || request.destroyed) return;
    // The end of a body is told later than its last byte.
    if (request.complete || request.readableLength === this.#fields.contentLength) {
      const body = (request.read() as Buffer | null) ?? NO_BYTES;
      if (body.byteLength > this.#settings.maxBodyBytes) this.#refuseBody();
      else this.#open(body);
      return;
    }
    this.#open(undefined);
    this.#settings.receiving.add(this);
    request.on("data", onData);
    request.on("end", onBodyEnd);
  }

  /** What the client sends is wrong or too late: ends the request with this answer, if there was none yet. */
  refuse(status: number, text: string): void {
    if (this.#isOver) return;
    this.#end(status);
    this.#exchange?.cancel(new HeliostatError(text));
    if (this.#response.headersSent) {
      breakOff(this.#response, this.#settings.clock);
      return;
    }
    closeSlowly(this.#request, this.#settings.clock);
    this.#reply(plain(status, text), true);
  }

  get isHeldBack(): boolean {
    return this.#request.isPaused();
  }

  onSilent(): void {
    this.refuse(408, "Nothing more of the request has arrived for too long.");
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#bodyBytes += chunk.byteLength;
    this.lastReceivedMs = this.#settings.clock.now();
    threadMemory.streamed(chunk.byteLength);
    if (this.#bodyBytes > this.#settings.maxBodyBytes) this.#refuseBody();
    else if (!this.#exchange!.write(chunk)) this.#request.pause();
  }

  endBody(): void {
    this.#settings.receiving.remove(this);
    if (!this.#isOver) this.#exchange!.end();
  }

  /** The connection is closed: by the client, if there is no whole answer yet. */
  close(): void {
    if (this.#isOver) return;
    this.#end(CLIENT_GONE);
    if (this.#fields.staysAfterDisconnect) this.taken();
    else this.#exchange?.cancel(new HeliostatError("The client has closed the connection."));
  }

  /** The client has taken everything so far. */
  taken(): void {
    const bytes = this.#untakenBytes;
    this.#untakenBytes = 0;
    if (bytes > 0) this.#exchange!.taken(bytes);
  }

  flushHead(): void {
    if (!this.#isOver) this.#response.flushHeaders();
  }

  onResponse(head: ResponseHead, body: Uint8Array): void {
    if (this.#isOver || !this.#writeHead(head, body.byteLength)) return;
    this.#end(head.status);
    // As text it goes in one piece with the head: faster, as long as copying costs little. A letter of Latin 1 is a byte.
    if (body.byteLength <= MAX_TEXT_BYTES) this.#response.end(latin1(body), "latin1");
    else this.#response.end(body);
  }

  onHead(head: ResponseHead): void {
    if (this.#isOver || !this.#writeHead(head, undefined)) return;
    this.#status = head.status;
    // With the first chunk, if that has come too.
    process.nextTick(flushHead, this);
  }

  onChunk(chunk: Uint8Array): void {
    const response = this.#response;
    if (this.#isOver) {
      // Nobody reads it any more, and it goes on all the same.
      this.#exchange!.taken(chunk.byteLength);
      return;
    }
    this.#untakenBytes += chunk.byteLength;
    try {
      if (response.write(chunk)) this.taken();
      else if (response.listenerCount("drain") === 0) response.on("drain", onDrain);
    } catch (error) {
      this.#misfit(error);
    }
  }

  onMessage(): void {
    this.#misfit(new HeliostatError("A replica sent a WebSocket message as an answer to a request."));
  }

  onEnd(): void {
    if (this.#isOver) return;
    try {
      this.#response.end();
      this.#end(this.#status);
    } catch (error) {
      this.#misfit(error);
    }
  }

  onError(error: unknown): void {
    if (this.#isOver) return;
    const requestId = this.#requestId;
    const { routes, log } = this.#settings;
    const { app } = this.#target.route;
    if (this.#response.headersSent) {
      log.warn(`The response to request ${requestId} of application "${app}" broke off: ${errorText(error)}`, { app });
      this.#end(this.#status);
      breakOff(this.#response, this.#settings.clock);
      return;
    }
    const reply = errorReply(error, { requestId, refusalOf: (deployment) => routes.refusalOf(app, deployment) });
    if (reply.status === 500)
      log.error(`Request ${requestId} to application "${app}" failed: ${errorText(error)}`, { app });
    this.#end(reply.status);
    const closes = this.#fields.hasBody && !this.#request.complete;
    if (closes) closeSlowly(this.#request, this.#settings.clock);
    this.#reply(reply, closes || this.#settings.isDraining);
  }

  onRoom(): void {
    this.#request.resume();
  }

  get #requestId(): string {
    return this.#target.options.requestId;
  }

  #open(body: Uint8Array | undefined): void {
    const { route, options } = this.#target;
    this.#exchange = this.#settings.openExchange(route.app, { ...options, body }, this);
  }

  #refuseBody(): void {
    this.refuse(413, `The body is larger than ${this.#settings.maxBodyBytes} bytes.`);
  }

  /** @returns false if it is nothing that HTTP can say: the client was told that it failed. */
  #writeHead(head: ResponseHead, bodyBytes: number | undefined): boolean {
    const { method } = this.#request;
    const response = this.#response;
    const fields = responseFields(head, { method: method!, bodyBytes });
    const isUnread = bodyBytes !== undefined && this.#fields.hasBody && !this.#request.complete;
    if (isUnread) closeSlowly(this.#request, this.#settings.clock);
    if (isUnread || this.#settings.isDraining) fields.push("Connection", "close");
    fields.push("X-Request-ID", this.#requestId);
    // Of a whole body the length is told here, and the check would keep node:http from sending all in one piece.
    response.strictContentLength = bodyBytes === undefined;
    try {
      if (head.status < 200) throw new HeliostatError(`A replica answered with the status ${head.status}.`);
      if (head.statusText === "") response.writeHead(head.status, fields);
      else response.writeHead(head.status, head.statusText, fields);
      return true;
    } catch (error) {
      this.#exchange!.cancel(error);
      this.onError(error);
      return false;
    }
  }

  /** What came is not what was announced. */
  #misfit(error: unknown): void {
    if (this.#isOver) return;
    this.#exchange!.cancel(error);
    this.onError(error);
  }

  #reply(reply: PlainReply, closes: boolean): void {
    const { cors } = this.#settings;
    sendReply(this.#response, cors.let(reply, this.#fields.origin), { requestId: this.#requestId, closes });
  }

  #end(status: number): void {
    this.#isOver = true;
    const { traffic, clock, receiving } = this.#settings;
    receiving.remove(this);
    traffic.record(this.#target.route.app, status, clock.now() - this.#startedMs);
  }
}

/** The exchange that a connection is busy with, given the response that it is to have next. */
export function exchangeOf(response: ServerResponse | null | undefined): HttpExchange | undefined {
  return (response as Carrier | null | undefined)?.[EXCHANGE];
}

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

function openWithBody(exchange: HttpExchange): void {
  exchange.openWithBody();
}

function flushHead(exchange: HttpExchange): void {
  exchange.flushHead();
}

function onData(this: IncomingMessage, chunk: Buffer): void {
  (this as Carrier)[EXCHANGE]!.write(chunk);
}

function onBodyEnd(this: IncomingMessage): void {
  (this as Carrier)[EXCHANGE]!.endBody();
}

function onClose(this: ServerResponse): void {
  (this as Carrier)[EXCHANGE]!.close();
}

function onDrain(this: ServerResponse): void {
  (this as Carrier)[EXCHANGE]!.taken();
}
