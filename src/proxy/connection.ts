import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Where a socket keeps what the proxy knows of it. */
const CONNECTION: unique symbol = Symbol("connection");

/** A request as it was read, and what is answered to it. */
export interface Served {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** One connection of a client, and the requests on it. */
export class Connection {
  readonly socket: Socket;
  /** The client's address, or that of the proxy in front of it; "" for one that has gone already. */
  readonly address: string;
  /** Requests that were read and are not answered yet. */
  #unanswered = 0;
  /** It speaks HTTP no longer: after CONNECT or an upgrade, accepted or not. */
  isHandedOver = false;
  /** The request that was read last. */
  last: Served | undefined = undefined;
  #whenAnswered: (() => void) | undefined = undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.address = plainAddress(socket.remoteAddress ?? "");
    (socket as Marked)[CONNECTION] = this;
  }

  static of(socket: object): Connection | undefined {
    return (socket as Marked)[CONNECTION];
  }

  get isIdle(): boolean {
    return this.#unanswered === 0;
  }

  begin(served: Served): void {
    this.last = served;
    this.#unanswered++;
  }

  /** An answer has left, or can never leave. */
  answered(): void {
    if (--this.#unanswered > 0) return;
    const then = this.#whenAnswered;
    this.#whenAnswered = undefined;
    then?.();
  }

  /** Runs `fn` when everything that was asked before has its answer: at once, if that is so. The first counts. */
  whenAnswered(fn: () => void): void {
    if (this.isIdle) fn();
    else this.#whenAnswered ??= fn;
  }
}

type Marked = { [CONNECTION]?: Connection };

/** An IPv4 address that comes over an IPv6 socket is written as one. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
