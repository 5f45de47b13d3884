import type { ReplicaWebSocket } from "../deployment/types.ts";
import { HeliostatError } from "../errors.ts";
import type { CloseReason } from "./exchange.ts";
import type { IncomingExchange, IncomingPart } from "./incoming-exchange.ts";

type Message = string | Uint8Array;
type MessagePart = Extract<IncomingPart, { data: unknown }>;
type Step = IteratorResult<Message, undefined>;

/** What a close frame has room for. */
const MAX_REASON_BYTES = 123;
/** What a connection that broke without a word is closed with. */
const BROKEN: CloseReason = { code: 1006, reason: "" };

/** The WebSocket that a replica's `websocket` method gets. */
export class ExchangeSocket implements ReplicaWebSocket {
  readonly closed: Promise<CloseReason>;
  readonly #exchange: IncomingExchange;
  readonly #tellClosed: (close: CloseReason) => void;
  /** Messages that nobody has read. */
  #received: MessagePart[] = [];
  #readers: ((step: Step) => void)[] = [];
  /** Messages for which there is no credit, and who waits for some. */
  #toSend: Message[] = [];
  #senders: (() => void)[] = [];
  #hasCredit = true;
  #isOpen = true;

  constructor(exchange: IncomingExchange) {
    const { promise, resolve } = Promise.withResolvers<CloseReason>();
    this.closed = promise;
    this.#tellClosed = resolve;
    this.#exchange = exchange;
    exchange.onPart = (part) => this.#receive(part);
    exchange.onCredit = () => this.#sendWaiting();
  }

  /** After the close, messages are dropped: the other side may have gone at any time. */
  send(message: Message): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    if (this.#toSend.length > 0 || !this.#hasCredit) {
      // Not by `slice`, which does not copy if it is a Buffer's.
      this.#toSend.push(typeof message === "string" ? message : new Uint8Array(message));
    } else {
      try {
        this.#hasCredit = this.#exchange.sendMessage(message);
      } catch (error) {
        return Promise.reject(error as Error);
      }
      if (this.#hasCredit) return Promise.resolve();
    }
    return new Promise((resolve) => this.#senders.push(resolve));
  }

  /** Also ends the iteration; `closed` tells what the client answered. */
  close(code = 1000, reason = ""): void {
    checkClose(code, reason);
    if (!this.#isOpen) return;
    // What was sent before goes first, also without credit: a close must not wait for a client that does not read.
    for (const message of this.#toSend) this.#exchange.sendMessage(message);
    this.#shut();
    this.#exchange.sendClose({ code, reason });
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return { next: () => this.#next(), return: () => Promise.resolve({ value: undefined, done: true }) };
  }

  /** The handler is done. */
  end(): void {
    this.close();
    this.#tellClosed(BROKEN);
  }

  /** The request has ended early: there is no client any more. */
  stop(): void {
    this.#shut();
    this.#tellClosed(BROKEN);
  }

  #receive(part: IncomingPart): void {
    if ("close" in part) {
      // What came before the close is still read.
      this.#isOpen = false;
      this.#endReaders();
      this.#endSenders();
      this.#tellClosed(part.close ?? BROKEN);
      return;
    }
    if (!this.#isOpen) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#received.push(part);
      return;
    }
    this.#exchange.allow(part.bytes);
    reader({ value: part.data, done: false });
  }

  #next(): Promise<Step> {
    const part = this.#received.shift();
    if (part !== undefined) {
      this.#exchange.allow(part.bytes);
      return Promise.resolve({ value: part.data, done: false });
    }
    if (!this.#isOpen) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  #sendWaiting(): void {
    this.#hasCredit = true;
    while (this.#hasCredit && this.#toSend.length > 0) {
      const message = this.#toSend.shift()!;
      this.#hasCredit = this.#exchange.sendMessage(message);
    }
    if (!this.#hasCredit) return;
    const senders = this.#senders;
    this.#senders = [];
    for (const resolve of senders) resolve();
  }

  #shut(): void {
    this.#isOpen = false;
    this.#received = [];
    this.#endReaders();
    this.#endSenders();
  }

  #endReaders(): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const reader of readers) reader({ value: undefined, done: true });
  }

  #endSenders(): void {
    this.#toSend = [];
    const senders = this.#senders;
    this.#senders = [];
    for (const resolve of senders) resolve();
  }
}

function checkClose(code: number, reason: string): void {
  const mayBeSent = Number.isInteger(code) && code >= 1000 && code <= 4999 && ![1004, 1005, 1006, 1015].includes(code);
  if (!mayBeSent)
    throw new HeliostatError(`A WebSocket cannot be closed with code ${code}. Use 1000, or one from 4000 to 4999.`);
  if (new TextEncoder().encode(reason).byteLength > MAX_REASON_BYTES)
    throw new HeliostatError(`The reason of a close takes more than ${MAX_REASON_BYTES} bytes. Use a shorter one.`);
}
