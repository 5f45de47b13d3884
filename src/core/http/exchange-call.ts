import type { Part } from "../contracts/replica-client.ts";
import { ProtocolError, RequestTimeoutError } from "../errors.ts";
import { Call, CallState, type CallTemplate } from "../handle/call.ts";
import type { Caller } from "../handle/caller.ts";
import type { DeadlineEntry, Expiring } from "../handle/deadlines.ts";
import { cancelledError } from "../handle/outgoing-call.ts";
import type { Router } from "../router/router.ts";
import type { CloseReason, Exchange, ExchangeListener, ExchangeOptions } from "./exchange.ts";
import { PART_BYTES, PART_COST } from "./parts.ts";
import type { Reply } from "./reply.ts";

type Phase = "opening" | "waiting" | "answering" | "closing" | "over";

/** Credit is given back when so much has left, so that the replica hears of it before it must stop. */
const RETURN_ITEMS = 128;
const RETURN_BYTES = 524_288;

export interface ExchangeCallOptions {
  readonly caller: Caller;
  readonly router: Router;
  readonly template: CallTemplate;
  readonly options: ExchangeOptions;
  readonly listener: ExchangeListener;
}

/**
 * The caller's side of an exchange: a call whose outcome is told piece by piece.
 *
 * The head, and a body that goes with it, are its arguments: if a replica refuses it, they go to the next one. Of a body
 * in parts nothing is sent before a replica has accepted the request, which it tells by giving credit.
 */
export class ExchangeCall extends Call implements Exchange, Expiring {
  readonly #caller: Caller;
  readonly #router: Router;
  readonly #listener: ExchangeListener;
  #deadline: DeadlineEntry | undefined = undefined;
  #phase: Phase = "opening";
  /** What may be sent of the body, once a replica has accepted the request. */
  #windowBytes = 0;
  #isAccepted = false;
  /** Parts for which there is no room yet. */
  #parts: Part[] = [];
  #isFull = false;
  /** Sizes of what was told and has not left; what has left and was not granted. */
  readonly #sizes: number[] = [];
  #leftBytes = 0;
  #returnItems = 0;
  #returnBytes = 0;

  constructor({ caller, router, template, options, listener }: ExchangeCallOptions) {
    const { head, body, requestId, route, traceparent = "", clientAddress, timeoutMs } = options;
    super(template, [head, body ?? NO_BYTES], caller.nextSequence(), {
      parent: { requestId, route, traceparent, clientAddress },
      priority: 0,
      deadlineMs: timeoutMs === undefined ? Infinity : caller.clock.now() + timeoutMs,
      timeoutMs: timeoutMs ?? 0,
    });
    this.#caller = caller;
    this.#router = router;
    this.#listener = listener;
  }

  open(): this {
    if (this.deadlineMs !== Infinity) this.#deadline = this.#caller.deadlines.add(this);
    this.#router.submit(this);
    if (this.#phase === "opening") this.#phase = "waiting";
    return this;
  }

  write(chunk: Uint8Array): boolean {
    if (chunk.byteLength === 0) return !this.#isFull;
    if (chunk.byteLength <= PART_BYTES) return this.#give({ data: chunk });
    for (let at = 0; at < chunk.byteLength; at += PART_BYTES) this.#give({ data: chunk.subarray(at, at + PART_BYTES) });
    return !this.#isFull;
  }

  send(message: string | Uint8Array): boolean {
    return this.#give({ data: message });
  }

  end(close?: CloseReason): void {
    if (this.state === CallState.SETTLED) return;
    const part: Part = { close };
    // It needs no room: nothing follows.
    if (!this.#isAccepted || this.#parts.length > 0 || !this.#post(part)) this.#parts.push(part);
  }

  taken(bytes: number): void {
    if (this.state === CallState.SETTLED) return;
    this.#leftBytes += bytes;
    while (this.#sizes.length > 0 && this.#sizes[0]! <= this.#leftBytes) {
      this.#leftBytes -= this.#sizes[0]!;
      this.#return(this.#sizes.shift()!);
    }
  }

  cancel(reason?: unknown): void {
    if (this.state === CallState.SETTLED) return;
    this.#phase = "over";
    this.#router.abandon(this, cancelledError(this.parent!.requestId, reason === undefined ? {} : { cause: reason }));
  }

  expire(): void {
    this.#deadline = undefined;
    this.#router.abandon(
      this,
      new RequestTimeoutError(`Request ${this.parent!.requestId} was stopped: its ${this.timeoutMs} ms were over.`, {
        timeoutMs: this.timeoutMs,
        stopped: true,
      }),
    );
  }

  /** The replica has accepted the request, or has taken what was sent: so many bytes more may follow. */
  room(bytes: number): void {
    if (this.state === CallState.SETTLED) return;
    this.#isAccepted = true;
    this.#windowBytes += bytes;
    this.#drain();
  }

  /**
   * A piece of the answer.
   *
   * One that is out of its order, or that the listener cannot take, fails this exchange alone: on its connection there
   * are others.
   */
  override item(value: unknown, bytes: number): void {
    // Told of one piece, the listener has cancelled; others were held back behind it.
    if (this.state === CallState.SETTLED) return;
    try {
      this.#tell(replyOf(value), bytes);
    } catch (error) {
      this.#router.abandon(this, error);
    }
  }

  override resolve(value: unknown): void {
    this.#release();
    const phase = this.#phase;
    this.#phase = "over";
    try {
      this.#conclude(value, phase);
    } catch (error) {
      this.#tellError(error);
    }
  }

  override reject(error: unknown): void {
    this.#release();
    const phase = this.#phase;
    this.#phase = "over";
    // Who opens an exchange must have it before it hears of it.
    if (phase === "opening") this.#caller.clock.nextTurn(() => this.#tellError(error));
    else if (phase !== "over" && phase !== "closing") this.#tellError(error);
  }

  #tell(reply: ReturnType<typeof replyOf>, bytes: number): void {
    const listener = this.#listener;
    if (reply.type === "head") {
      if (this.#phase !== "waiting") throw misplaced("head");
      this.#phase = "answering";
      this.#return(bytes);
      listener.onHead(reply.head);
      return;
    }
    if (this.#phase !== "answering") throw misplaced(reply.type);
    switch (reply.type) {
      case "chunk":
        this.#sizes.push(bytes);
        listener.onChunk(reply.chunk);
        return;
      case "message":
        this.#sizes.push(bytes);
        listener.onMessage(reply.message, bytes);
        return;
      case "close":
        listener.onEnd({ code: reply.code, reason: reply.reason });
        // Not before it has been told: if that fails, there is an error to tell.
        if (this.#phase === "answering") this.#phase = "closing";
        return;
      case "response":
      case "value":
        throw misplaced(reply.type);
    }
  }

  #conclude(value: unknown, phase: Phase): void {
    const listener = this.#listener;
    if (value === undefined && phase !== "waiting") {
      if (phase === "answering") listener.onEnd();
      return;
    }
    const reply = replyOf(value);
    if (reply.type !== "response" || phase !== "waiting") throw misplaced(value === undefined ? "end" : "response");
    const { head, body } = reply;
    if (listener.onResponse !== undefined) {
      listener.onResponse(head, body);
      return;
    }
    listener.onHead(head);
    if (body.byteLength > 0) listener.onChunk(body);
    listener.onEnd();
  }

  #tellError(error: unknown): void {
    try {
      this.#listener.onError(error);
    } catch {
      // It was the last thing to tell, and it must not reach the exchanges beside this one.
    }
  }

  /** Sends a part, or keeps a copy until there is room. */
  #give(part: Part & { readonly data: string | Uint8Array }): boolean {
    if (this.state === CallState.SETTLED) return true;
    const isSent = this.#parts.length === 0 && this.#windowBytes > 0 && this.#post(part);
    // Not by `slice`, which does not copy if it is a Buffer's.
    if (!isSent) this.#parts.push(typeof part.data === "string" ? part : { data: new Uint8Array(part.data) });
    if (!isSent || this.#windowBytes <= 0) this.#isFull = true;
    return !this.#isFull;
  }

  /** @returns false if it cannot be sent now. */
  #post(part: Part): boolean {
    let bytes: number;
    try {
      bytes = this.#router.part(this, part);
    } catch (error) {
      this.#router.abandon(this, error);
      return true;
    }
    if (bytes < 0) {
      this.#caller.clock.nextTurn(() => this.#drain());
      return false;
    }
    this.#windowBytes -= bytes + PART_COST;
    return true;
  }

  #drain(): void {
    const parts = this.#parts;
    while (parts.length > 0 && (this.#windowBytes > 0 || "close" in parts[0]!)) {
      if (!this.#post(parts[0]!)) return;
      parts.shift();
    }
    if (!this.#isFull || parts.length > 0 || this.#windowBytes <= 0) return;
    this.#isFull = false;
    try {
      this.#listener.onRoom();
    } catch (error) {
      this.#router.abandon(this, error);
    }
  }

  #return(bytes: number): void {
    this.#returnItems++;
    this.#returnBytes += bytes;
    if (this.#returnItems < RETURN_ITEMS && this.#returnBytes < RETURN_BYTES) return;
    this.#router.grant(this, this.#returnItems, this.#returnBytes);
    this.#returnItems = 0;
    this.#returnBytes = 0;
  }

  #release(): void {
    this.#parts = [];
    if (this.#deadline !== undefined) this.#caller.deadlines.remove(this.#deadline);
    this.#deadline = undefined;
  }
}

const NO_BYTES = new Uint8Array(0);

/** A replica that takes the exchange for a plain call may have sent any value. */
function replyOf(value: unknown): Reply | { readonly type: "value" } {
  const { type } = (value ?? NO_REPLY) as { readonly type?: unknown };
  switch (type) {
    case "response":
    case "head":
    case "chunk":
    case "message":
    case "close":
      return value as Reply;
    default:
      return NO_REPLY;
  }
}

const NO_REPLY = { type: "value" } as const;

function misplaced(what: string): ProtocolError {
  return new ProtocolError(`A replica sent a ${what} out of its order.`);
}
