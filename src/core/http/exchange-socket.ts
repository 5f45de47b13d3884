import type { ReplicaWebSocket } from "../deployment/types.ts";
import { toError } from "../error-text.ts";
import { HeliostatError } from "../errors.ts";
import { BROKEN, checkClose, NORMAL } from "./close-code.ts";
import type { CloseReason } from "./exchange.ts";
import type { IncomingExchange, IncomingPart } from "./incoming-exchange.ts";
import { messageData, type WebSocketMessage } from "./message-data.ts";

type Message = string | Uint8Array;
type MessagePart = Extract<IncomingPart, { data: unknown }>;
type Step = IteratorResult<Message, undefined>;

/** Somebody who waits until another message may be sent. */
interface Sender {
  /** What is still to be sent; undefined: it has left, and the next one may not follow yet. */
  message: Message | undefined;
  resolve(): void;
  reject(error: Error): void;
}

/** The WebSocket that a replica's `websocket` method gets. */
export class ExchangeSocket implements ReplicaWebSocket {
  readonly closed: Promise<CloseReason>;
  readonly #exchange: IncomingExchange;
  readonly #tellClosed: (close: CloseReason) => void;
  /** Messages that nobody has read. */
  #received: MessagePart[] = [];
  #readers: ((step: Step) => void)[] = [];
  /** In their order; there are none while there is credit. */
  #senders: Sender[] = [];
  #hasCredit = true;
  /** Why nothing can be sent any more. */
  #end: CloseReason | undefined = undefined;

  constructor(exchange: IncomingExchange) {
    const { promise, resolve } = Promise.withResolvers<CloseReason>();
    this.closed = promise;
    this.#tellClosed = resolve;
    this.#exchange = exchange;
    exchange.onPart = (part) => this.#receive(part);
    exchange.onCredit = () => this.#sendWaiting();
  }

  send(message: WebSocketMessage): Promise<void> {
    const sent = this.#send(message);
    // Who does not wait for it must not end with the whole replica because a client has left.
    sent.catch(() => {});
    return sent;
  }

  /** Also ends the iteration; `closed` tells what the client answered. */
  close(code = 1000, reason = ""): void {
    checkClose(code, reason);
    this.#close({ code, reason });
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return { next: () => this.#next(), return: () => Promise.resolve({ value: undefined, done: true }) };
  }

  /** The handler is done. */
  end(): void {
    this.#close(NORMAL);
    this.#tellClosed(this.#end!);
  }

  /** The request has ended early, or its handler has failed: this is what the client is closed with. */
  stop(close: CloseReason): void {
    this.#shut(close);
    this.#tellClosed(close);
  }

  #send(given: WebSocketMessage): Promise<void> {
    try {
      const message = messageData(given);
      if (this.#end !== undefined) throw closedError(this.#end);
      if (!this.#hasCredit) return this.#wait(ownCopy(message));
      this.#hasCredit = this.#exchange.sendMessage(message);
      return this.#hasCredit ? Promise.resolve() : this.#wait(undefined);
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  #wait(message: Message | undefined): Promise<void> {
    return new Promise((resolve, reject) => this.#senders.push({ message, resolve, reject }));
  }

  /** What was sent before goes first, also without credit: a close must not wait for a client that does not read. */
  #close(close: CloseReason): void {
    if (this.#end !== undefined) return;
    for (const sender of this.#senders) this.#hand(sender);
    this.#shut(close);
    this.#exchange.sendClose(close);
  }

  #receive(part: IncomingPart): void {
    if ("close" in part) {
      const close = part.close ?? BROKEN;
      this.#tellClosed(close);
      // What came before the close is still read.
      this.#end ??= close;
      this.#endReaders();
      this.#endSenders();
      return;
    }
    if (this.#end !== undefined) return;
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
    if (this.#end !== undefined) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  #sendWaiting(): void {
    this.#hasCredit = true;
    for (let sender = this.#senders[0]; sender !== undefined; sender = this.#senders[0]) {
      if (sender.message !== undefined) {
        this.#hand(sender);
        if (!this.#hasCredit) return;
      }
      sender.resolve();
      this.#senders.shift();
    }
  }

  /** Sends what a sender waits with. One message that cannot travel fails alone. */
  #hand(sender: Sender): void {
    const { message } = sender;
    if (message === undefined) return;
    sender.message = undefined;
    try {
      this.#hasCredit = this.#exchange.sendMessage(message);
    } catch (error) {
      sender.reject(toError(error));
    }
  }

  #shut(close: CloseReason): void {
    this.#end ??= close;
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
    const senders = this.#senders;
    this.#senders = [];
    for (const { message, resolve, reject } of senders) {
      if (message === undefined) resolve();
      else reject(closedError(this.#end!));
    }
  }
}

/** The user may change what he has given as soon as `send` returns. Not by `slice`, which does not copy a Buffer. */
function ownCopy(message: Message): Message {
  return typeof message === "string" ? message : new Uint8Array(message);
}

function closedError({ code, reason }: CloseReason): HeliostatError {
  const why = reason === "" ? "" : `, ${JSON.stringify(reason)}`;
  return new HeliostatError(`The WebSocket is closed (code ${code}${why}): nothing can be sent any more.`);
}
