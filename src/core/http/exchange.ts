/** Header fields in their order; a name may come several times. */
export type HeaderFields = readonly (readonly [name: string, value: string])[];

/** What a replica is told of an HTTP request before its body. */
export interface RequestHead {
  readonly method: string;
  /** Absolute: `http://<Host header><path after the prefix>?<query>`. */
  readonly url: string;
  readonly headers: HeaderFields;
}

/** What a client is told of a response before its body. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HeaderFields;
}

/** How an exchange begins: the route and what inherits from the request. */
export interface ExchangeOptions {
  readonly head: RequestHead;
  /**
   * The whole body, where it is known and small (empty if there is none): it goes in one frame with the head, and is
   * copied before the exchange is given. undefined: `write` and `end` follow.
   */
  readonly body?: Uint8Array | undefined;
  /** Open a WebSocket instead of asking for a response: messages go both ways. */
  readonly webSocket?: boolean;
  readonly requestId: string;
  readonly route: string;
  /** W3C trace context, given on to every call made for it. */
  readonly traceparent?: string;
  /** Where the client is, seen through proxies that are trusted. */
  readonly clientAddress?: string | undefined;
  readonly multiplexedModelId?: string;
  readonly sessionId?: string;
  /** A deadline for all of it. */
  readonly timeoutMs?: number | undefined;
}

/** Why a WebSocket was closed. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

/**
 * One HTTP exchange with a replica over frames, from the proxy's side: the request's body in, the response out, with
 * credits both ways, so that neither side holds more than a window.
 *
 * After `onEnd`, `onError` or `cancel` nothing more is told, and everything but `end` of a WebSocket does nothing.
 */
export interface Exchange {
  /**
   * Sends a part of the request's body, which is copied before this returns. Returns false when the replica's window is
   * full: wait for `onRoom`. Until a replica has accepted the request there is no window, so the first part waits here.
   */
  write(chunk: Uint8Array): boolean;
  /** A WebSocket message. Returns as `write` does. */
  send(message: string | Uint8Array): boolean;
  /**
   * The request's body is whole; of a WebSocket: the connection to the client has ended, with this code and reason (1006
   * if it broke), also when it was the replica that closed it first.
   */
  end(close?: CloseReason): void;
  /** So many bytes of the response, or of its messages, have left: the replica may send as many more. 0 for an empty message. */
  taken(bytes: number): void;
  /** The client is gone, or the time is up: the request ends everywhere. Idempotent. */
  cancel(reason?: unknown): void;
}

/** What becomes of an exchange. Nothing is told before the exchange was given. */
export interface ExchangeListener {
  /** The response, small and whole: instead of `onHead`, `onChunk` and `onEnd`, where this is given. */
  onResponse?(head: ResponseHead, body: Uint8Array): void;
  /** The response begins; of a WebSocket: it was accepted, if the status is 101. */
  onHead(head: ResponseHead): void;
  /** A part of the response's body, in memory of its own. */
  onChunk(chunk: Uint8Array): void;
  /** A WebSocket message of the replica's; `bytes` is what `taken` is to be told of it. */
  onMessage(message: string | Uint8Array, bytes: number): void;
  /** The response is whole; of a WebSocket: the replica closes with this code and reason. */
  onEnd(close?: CloseReason): void;
  /** It failed, before the head or behind it; an accepted WebSocket is to be closed with 1011. */
  onError(error: unknown): void;
  /** More of the request's body may be written. */
  onRoom(): void;
}

/** Opens exchanges with the ingress deployment of an application: what a proxy needs of the handles' world. */
export type OpenExchange = (app: string, options: ExchangeOptions, listener: ExchangeListener) => Exchange;
