import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket, WebSocketServer } from "ws";
import { errorText } from "../core/error-text.ts";
import { HeliostatError } from "../core/errors.ts";
import type { CloseReason, Exchange, ExchangeListener, ResponseHead } from "../core/http/exchange.ts";
import { errorReply } from "./error-reply.ts";
import type { AppTarget } from "./http-exchange.ts";
import { sendRawReply } from "./send-reply.ts";
import type { ProxySettings } from "./settings.ts";

const NO_BYTES = new Uint8Array(0);
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the head of the request. */
  readonly head: Buffer;
  readonly target: AppTarget;
}

/** One WebSocket between a client and a replica: opened with the replica first, then with the client. */
export class WebSocketExchange implements ExchangeListener {
  readonly #settings: ProxySettings;
  readonly #server: WebSocketServer;
  readonly #upgrade: UpgradeRequest;
  readonly #startedMs: number;
  readonly #onGone: () => void;
  #exchange!: Exchange;
  #socket: WebSocket | undefined = undefined;
  #isOver = false;

  constructor(
    settings: ProxySettings,
    upgrade: UpgradeRequest,
    { server, onGone }: { readonly server: WebSocketServer; onGone(): void },
  ) {
    this.#settings = settings;
    this.#server = server;
    this.#upgrade = upgrade;
    this.#onGone = onGone;
    this.#startedMs = settings.clock.now();
    upgrade.socket.on("close", this.#onConnectionClosed);
    upgrade.socket.on("error", () => {});
  }

  open(): void {
    const { route, options } = this.#upgrade.target;
    this.#exchange = this.#settings.openExchange(route.app, { ...options, body: NO_BYTES, webSocket: true }, this);
  }

  /** The proxy ends: the client is told to go elsewhere. */
  goAway(): void {
    if (this.#socket === undefined) this.#exchange.cancel(new HeliostatError("The proxy is draining."));
    else this.#socket.close(GOING_AWAY, "The server is going away.");
  }

  terminate(): void {
    if (this.#socket === undefined) this.#upgrade.socket.destroy();
    else this.#socket.terminate();
  }

  onHead({ status }: ResponseHead): void {
    const { request, socket, head, target } = this.#upgrade;
    if (status !== 101 || socket.destroyed) {
      this.#exchange.cancel(new HeliostatError("The client has closed the connection."));
      return;
    }
    const { requestId } = target.options;
    const addId = (headers: string[]): void => void headers.push(`X-Request-ID: ${requestId}`);
    this.#server.once("headers", addId);
    this.#server.handleUpgrade(request, socket, head, (opened) => this.#begin(opened));
    this.#server.off("headers", addId);
  }

  onResponse(head: ResponseHead, body: Uint8Array): void {
    this.#reject({ status: head.status, text: Buffer.from(body).toString(), headers: [] });
  }

  onChunk(): void {
    this.#exchange.cancel();
  }

  onMessage(message: string | Uint8Array, bytes: number): void {
    const taken = (): void => this.#exchange.taken(bytes);
    // Its length says nothing about whether it is text.
    this.#socket?.send(message, { binary: typeof message !== "string" }, taken);
  }

  onEnd(close: CloseReason = { code: 1000, reason: "" }): void {
    if (this.#socket === undefined) this.#reject(errorReply(undefined, this.#errorContext()));
    else closeWith(this.#socket, close);
  }

  onError(error: unknown): void {
    const { log } = this.#settings;
    const { route, options } = this.#upgrade.target;
    if (this.#socket === undefined) {
      this.#reject(errorReply(error, this.#errorContext()));
      return;
    }
    if (!this.#isOver) {
      const { app } = route;
      log.error(`The WebSocket of request ${options.requestId} to application "${app}" failed: ${errorText(error)}`, {
        app,
      });
    }
    this.#socket.close(INTERNAL_ERROR);
  }

  onRoom(): void {
    this.#socket?.resume();
  }

  #begin(socket: WebSocket): void {
    this.#socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!this.#exchange.send(isBinary ? data : data.toString())) socket.pause();
    });
    socket.on("close", (code, reason) => {
      this.#exchange.end({ code, reason: reason.toString() });
      this.#end(101);
    });
    // What is wrong with a client's frames ends in a close, with a code that says it.
    socket.on("error", () => {});
    if (this.#settings.isDraining) this.goAway();
  }

  #reject(reply: Parameters<typeof sendRawReply>[1]): void {
    const { socket, target } = this.#upgrade;
    this.#end(reply.status);
    sendRawReply(socket, reply, target.options.requestId);
  }

  readonly #onConnectionClosed = (): void => {
    if (this.#socket !== undefined || this.#isOver) return;
    this.#exchange.cancel(new HeliostatError("The client has closed the connection."));
    this.#end(499);
  };

  #errorContext() {
    const { route, options } = this.#upgrade.target;
    const refusalOf = (deployment: string) => this.#settings.routes.refusalOf(route.app, deployment);
    return { requestId: options.requestId, refusalOf };
  }

  #end(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { traffic, clock } = this.#settings;
    traffic.record(this.#upgrade.target.route.app, status, clock.now() - this.#startedMs);
    this.#onGone();
  }
}

/** Codes that only tell how a connection ended cannot be sent. */
function closeWith(socket: WebSocket, { code, reason }: CloseReason): void {
  if (code === 1005 || code === 1006 || code === 1015) socket.close();
  else socket.close(code, reason);
}
