import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket, WebSocketServer } from "ws";
import { errorText } from "../core/error-text.ts";
import { HeliostatError, RequestTimeoutError } from "../core/errors.ts";
import type { Timer } from "../core/contracts/clock.ts";
import { BROKEN, canBeSent, FAILED, NORMAL, RESTARTING } from "../core/http/close-code.ts";
import type { CloseReason, Exchange, ExchangeListener, ResponseHead } from "../core/http/exchange.ts";
import { errorReply } from "./error-reply.ts";
import type { AppTarget } from "./http-exchange.ts";
import { PendingBytes } from "./pending-bytes.ts";
import type { Pinged, PingRound } from "./ping-round.ts";
import { type RawReply, refuseSocket } from "./refuse-socket.ts";
import { responseFields } from "./response-fields.ts";
import type { ProxySettings } from "./settings.ts";

const NO_BYTES = new Uint8Array(0);
const GOING_AWAY: CloseReason = { code: 1001, reason: "The server is going away." };
/** A client that is told to go away has this long to say goodbye. */
const GOODBYE_MS = 2_000;

export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What came behind the head of the request. */
  readonly head: Buffer;
  readonly target: AppTarget;
}

export interface WebSocketServices {
  readonly server: WebSocketServer;
  readonly pings: PingRound;
  onGone(): void;
}

/** One WebSocket between a client and a replica: opened with the replica first, then with the client. */
export class WebSocketExchange implements ExchangeListener, Pinged {
  isAlive = true;
  readonly #settings: ProxySettings;
  readonly #services: WebSocketServices;
  readonly #upgrade: UpgradeRequest;
  readonly #pending: PendingBytes;
  readonly #startedMs: number;
  #exchange!: Exchange;
  #socket: WebSocket | undefined = undefined;
  /** What had come, and what was still to leave, when the peer was pinged. */
  #received = 0;
  #unsent = 0;
  #opening: Timer | undefined = undefined;
  #isOver = false;

  constructor(settings: ProxySettings, upgrade: UpgradeRequest, services: WebSocketServices) {
    this.#settings = settings;
    this.#services = services;
    this.#upgrade = upgrade;
    this.#startedMs = settings.clock.now();
    this.#pending = new PendingBytes(upgrade.socket, upgrade.head, () => this.#onClientGone());
  }

  open(): void {
    const { route, options } = this.#upgrade.target;
    const { timeoutMs } = options;
    // The time for a request is that for the handshake: how long the WebSocket lives is not bounded.
    if (timeoutMs !== undefined)
      this.#opening = this.#settings.clock.setTimer(timeoutMs, () => this.#onLate(timeoutMs));
    this.#exchange = this.#settings.openExchange(
      route.app,
      { ...options, timeoutMs: undefined, body: NO_BYTES, webSocket: true },
      this,
    );
  }

  /** The proxy ends: the client is told to go elsewhere. */
  goAway(): void {
    const socket = this.#socket;
    if (socket === undefined) {
      this.#exchange.cancel(new HeliostatError("The proxy is draining."));
      return;
    }
    socket.close(GOING_AWAY.code, GOING_AWAY.reason);
    const timer = this.#settings.clock.setTimer(GOODBYE_MS, () => socket.terminate());
    socket.once("close", () => timer.cancel());
  }

  terminate(): void {
    if (this.#socket === undefined) this.#upgrade.socket.destroy();
    else this.#socket.terminate();
  }

  ping(): void {
    const socket = this.#socket!;
    this.#received = this.#bytesRead;
    this.#unsent = socket.bufferedAmount;
    // A client that is kept waiting cannot be heard, and one that has much to read has not read the question yet.
    if (socket.isPaused) this.isAlive = true;
    socket.ping();
  }

  onSilent(): void {
    const socket = this.#socket!;
    // It reads, if slowly, or sends something long: its answer comes behind that.
    if (socket.bufferedAmount < this.#unsent || this.#bytesRead > this.#received) this.#services.pings.add(this);
    else socket.terminate();
  }

  onHead(head: ResponseHead): void {
    const { request, socket, target } = this.#upgrade;
    if (head.status !== 101 || socket.destroyed) {
      this.#exchange.cancel(new HeliostatError("The client has closed the connection."));
      return;
    }
    const { requestId } = target.options;
    const lines = [...responseFields(head, { method: "GET", bodyBytes: undefined }), "X-Request-ID", requestId];
    lines.push("Date", new Date(this.#settings.clock.wallNow()).toUTCString());
    const addFields = (headers: string[]): void => {
      for (let i = 0; i < lines.length; i += 2) headers.push(`${lines[i]}: ${lines[i + 1]}`);
    };
    const { server } = this.#services;
    server.once("headers", addFields);
    server.handleUpgrade(request, socket, this.#pending.take(), (opened) => this.#begin(opened));
    server.off("headers", addFields);
    if (this.#socket !== undefined) return;
    // The library has found something wrong with the handshake, which was answered.
    this.#exchange.cancel(new HeliostatError("The client's handshake is not valid."));
    this.#end(400);
  }

  onResponse(head: ResponseHead, body: Uint8Array): void {
    const fields = responseFields(head, { method: "HEAD", bodyBytes: undefined });
    const headers: (readonly [string, string])[] = [];
    for (let i = 0; i < fields.length; i += 2)
      if (fields[i] !== "Content-Length") headers.push([fields[i]!, fields[i + 1]!]);
    this.#reject({ status: head.status, text: body, headers });
  }

  onChunk(): void {
    this.#misfit(new HeliostatError("A replica sent a part of a body for a WebSocket."));
  }

  onMessage(message: string | Uint8Array, bytes: number): void {
    const taken = (): void => this.#exchange.taken(bytes);
    // Its length says nothing about whether it is text.
    this.#socket?.send(message, { binary: typeof message !== "string" }, taken);
  }

  onEnd(close: CloseReason = NORMAL): void {
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
    const isReplaced = HeliostatError.isInstance(error) && error.code === "REPLICA_UNAVAILABLE";
    if (!this.#isOver && !isReplaced) {
      const { app } = route;
      log.error(`The WebSocket of request ${options.requestId} to application "${app}" failed: ${errorText(error)}`, {
        app,
      });
    }
    closeWith(this.#socket, isReplaced ? RESTARTING : FAILED);
  }

  onRoom(): void {
    this.#socket?.resume();
  }

  get #bytesRead(): number {
    return (this.#upgrade.socket as Socket).bytesRead;
  }

  #begin(socket: WebSocket): void {
    this.#socket = socket;
    this.#opening?.cancel();
    const { pings } = this.#services;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!this.#exchange.send(isBinary ? data : data.toString())) socket.pause();
    });
    socket.on("pong", () => (this.isAlive = true));
    socket.on("close", (code, reason) => {
      pings.remove(this);
      this.#exchange.end({ code, reason: reason.toString() });
      this.#end(101);
    });
    // What is wrong with a client's frames ends in a close, with a code that says it.
    socket.on("error", () => {});
    pings.add(this);
    if (this.#settings.isDraining) this.goAway();
  }

  #reject(reply: RawReply): void {
    const { socket, target } = this.#upgrade;
    if (this.#isOver) return;
    this.#end(reply.status);
    this.#pending.take();
    refuseSocket(socket, reply, { requestId: target.options.requestId, clock: this.#settings.clock });
  }

  /** The client has left before it had an answer. */
  #onClientGone(): void {
    if (this.#socket !== undefined || this.#isOver) return;
    this.#exchange.cancel(new HeliostatError("The client has closed the connection."));
    this.#end(499);
    this.#upgrade.socket.destroy();
  }

  #onLate(timeoutMs: number): void {
    if (this.#socket !== undefined || this.#isOver) return;
    const error = new RequestTimeoutError("The WebSocket was not opened in time.", { timeoutMs, stopped: true });
    this.#reject(errorReply(error, this.#errorContext()));
    this.#exchange.cancel(error);
  }

  /** What came is nothing that a WebSocket can be told. */
  #misfit(error: Error): void {
    this.#exchange.cancel(error);
    this.onError(error);
  }

  #errorContext() {
    const { route, options } = this.#upgrade.target;
    const refusalOf = (deployment: string) => this.#settings.routes.refusalOf(route.app, deployment);
    return { requestId: options.requestId, refusalOf };
  }

  #end(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#opening?.cancel();
    const { traffic, clock } = this.#settings;
    traffic.record(this.#upgrade.target.route.app, status, clock.now() - this.#startedMs);
    this.#services.onGone();
  }
}

/** Codes that only tell how a connection ended cannot be sent, nor those that there are not, whoever chose them. */
function closeWith(socket: WebSocket, { code, reason }: CloseReason): void {
  if (canBeSent(code)) socket.close(code, reason);
  else if (code === 1005 || code === BROKEN.code || code === 1015) socket.close();
  else socket.close(FAILED.code);
}
