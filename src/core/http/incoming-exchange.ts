import type { IncomingCall } from "../replica/incoming-call.ts";
import type { CloseReason, RequestHead, ResponseHead } from "./exchange.ts";

/** A part of a request's body, or a message of a WebSocket, or the end of them. */
export type IncomingPart =
  /** `bytes` is what `allow` is to be told when it was taken. */
  | { readonly data: string | Uint8Array; readonly bytes: number }
  | {
      /** What a client has closed a WebSocket with. */
      readonly close: CloseReason | undefined;
    };

/**
 * An exchange that has arrived at a replica: a call whose argument is a request, and whose outcome a response or the
 * messages of a WebSocket.
 *
 * It ends with exactly one of `respond`, `end` and `fail`, or with `refuse` before it has begun.
 */
export interface IncomingExchange extends IncomingCall {
  readonly isWebSocket: boolean;
  /** The body comes in parts, or there are messages to come. */
  readonly hasParts: boolean;
  /** Gets the parts as they come; without it they are dropped. */
  onPart: ((part: IncomingPart) => void) | undefined;

  /** Decodes the head, and the body that came with it; to be called before the call that delivers this returns, and once. @throws {ProtocolError} */
  open(): OpenedExchange;
  /** Lets the first parts come. */
  accept(): void;
  /** A part of this size was taken: another may come. */
  allow(bytes: number): void;
  /** Sends all of the response at once. @throws {SerializationError} if its head cannot travel; nothing was sent. */
  respond(response: WholeResponse, othersOngoing: number): void;
  /** Begins a response that comes in chunks, or accepts a WebSocket. @throws {SerializationError} */
  sendHead(head: ResponseHead): void;
  /** Sends a chunk. Returns whether another may follow now; if not, `onCredit` tells when. */
  sendChunk(chunk: Uint8Array): boolean;
  /** Sends a message; returns as `sendChunk`. @throws {SerializationError} if it is too large. */
  sendMessage(message: string | Uint8Array): boolean;
  /** Closes the WebSocket; the work for it goes on. */
  sendClose(close: CloseReason): void;
}

/** A response of which all is known. */
export interface WholeResponse {
  readonly head: ResponseHead;
  /** A string is sent as UTF-8. */
  readonly body: Uint8Array | string;
}

/** What comes with the head. */
export interface OpenedExchange {
  readonly head: RequestHead;
  /** Empty if the body comes in parts. */
  readonly body: Uint8Array;
}

/** The replica, as whoever serves an exchange needs it. */
export interface ExchangeHost {
  readonly deployment: string;
  /** The method of the user's instance with this name. @throws {UnknownMethodError} */
  method(exchange: IncomingExchange): Function;
  readonly target: object | Function;
  /** What decides about the opening of a WebSocket, if the class has such a thing: `static acceptWebSocket`. */
  acceptor(): { readonly method: Function; readonly self: unknown } | undefined;
  /** Calls a function in the context of the request. */
  call(exchange: IncomingExchange, method: Function, self: unknown, args: readonly unknown[]): unknown;
  /** The work is over and its place is free: tells the outcome, unless the time is up. */
  succeed(exchange: IncomingExchange, tell: (othersOngoing: number) => void): void;
  fail(exchange: IncomingExchange, error: unknown): void;
}
