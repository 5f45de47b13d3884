import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { ResolvedHttpOptions } from "../core/deployment/run-options.ts";
import type { OpenExchange } from "../core/http/exchange.ts";
import { clientOrigin } from "./client-origin.ts";
import { closeSlowly } from "./close-slowly.ts";
import { Connection } from "./connection.ts";
import { Cors } from "./cors.ts";
import { clientErrorReply, plain, type PlainReply } from "./error-reply.ts";
import { exchangeOf, HttpExchange } from "./http-exchange.ts";
import { createTls, listen } from "./listen.ts";
import { ownReply } from "./own-routes.ts";
import { checkPeriodMs, ReceiveWatch } from "./receive-watch.ts";
import { endSlowly, refuseSocket } from "./refuse-socket.ts";
import { type HeadFields, readHead, requestIdOf } from "./request-head.ts";
import { notServed, readRequestLine } from "./request-line.ts";
import { targetOf } from "./request-target.ts";
import { RouteTable, type Route } from "./route-table.ts";
import { sendReply } from "./send-reply.ts";
import type { ProxySettings } from "./settings.ts";
import { Traffic } from "./traffic.ts";
import { TrustedProxies } from "./trusted-proxies.ts";
import { mayBecomeWebSocket, Upgrades } from "./upgrades.ts";

export interface ProxyOptions {
  readonly http: ResolvedHttpOptions;
  readonly openExchange: OpenExchange;
  readonly clock: Clock;
  readonly log: Log;
  /** Several processes listen on the same port. @default false */
  readonly sharesPort?: boolean;
}

/** Serves HTTP and WebSockets in this process, each request by a replica of the application whose route matches. */
export class Proxy {
  readonly url: string;
  readonly port: number;
  readonly traffic: Traffic;
  readonly #server: Server;
  readonly #settings: ProxySettings;
  readonly #upgrades: Upgrades;
  readonly #connections = new Set<Connection>();
  /** With TLS: what the connections lie on, also of those that have not said anything yet. */
  readonly #carriers = new Set<Socket>();
  #drained: (() => void) | undefined = undefined;

  private constructor(server: Server, settings: ProxySettings, http: ResolvedHttpOptions) {
    this.#server = server;
    this.#settings = settings;
    this.#upgrades = new Upgrades(settings);
    this.traffic = settings.traffic;
    const address = server.address() as { port: number };
    this.port = address.port;
    this.url = `${settings.scheme}://${http.host.includes(":") ? `[${http.host}]` : http.host}:${this.port}`;
    if (http.tls !== undefined) {
      server.on("connection", (socket: Socket) => {
        this.#carriers.add(socket);
        socket.once("close", () => this.#carriers.delete(socket));
      });
    }
    // What requests come over, which with TLS is not the connection itself.
    server.on(http.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => this.#connect(socket));
    server.on("request", (request, response) => this.#serve(request, response, false));
    server.on("checkContinue", (request, response) => this.#serve(request, response, true));
    server.on("checkExpectation", (request, response) => this.#refuseExpectation(request, response));
    server.on("upgrade", (request, socket, head) =>
      this.#takeOver(socket, () => this.#upgrades.accept(request, socket, head)),
    );
    server.on("connect", (request, socket) =>
      this.#takeOver(socket, () =>
        refuseSocket(socket, notServed("CONNECT"), { requestId: requestIdOf(request), clock: settings.clock }),
      ),
    );
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket));
    server.on("error", (error) => settings.log.warn(`A connection could not be accepted: ${error.message}`));
  }

  /** Listens. @throws {ConfigError} with the path `http.port` or `http.host` if it cannot. */
  static async open(options: ProxyOptions): Promise<Proxy> {
    const { http, openExchange, clock, log } = options;
    const settings: ProxySettings = {
      openExchange,
      clock,
      log,
      traffic: new Traffic(),
      scheme: http.tls === undefined ? "http" : "https",
      maxBodyBytes: http.maxBodyBytes,
      pingIntervalMs: http.pingIntervalMs,
      trusted: new TrustedProxies(http.trustProxy),
      cors: new Cors(http.cors),
      receiving: new ReceiveWatch(clock, http.receiveTimeoutMs),
      routes: RouteTable.empty,
      requestTimeoutMs: http.requestTimeoutMs,
      isDraining: false,
    };
    const serverOptions = {
      maxHeaderSize: http.maxHeaderBytes,
      keepAliveTimeout: http.keepAliveTimeoutMs,
      // A head is too small to be worth waiting for its next byte: all of it has the time that a body has for each piece.
      headersTimeout: http.receiveTimeoutMs,
      requestTimeout: 0,
      connectionsCheckingInterval: Math.ceil(checkPeriodMs(http.receiveTimeoutMs)),
      // Peers that have vanished are found out by the system.
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      // An answer of our own says so, with a request id.
      requireHostHeader: false,
      // Where Node knows it (24.9), other upgrades that a client offers are passed over, as HTTP allows.
      shouldUpgradeCallback: mayBecomeWebSocket,
    };
    const server = http.tls === undefined ? createServer(serverOptions) : createTls(serverOptions, http.tls);
    await listen(server, http, options.sharesPort ?? false);
    return new Proxy(server, settings, http);
  }

  get status(): "HEALTHY" | "DRAINING" {
    return this.#settings.isDraining ? "DRAINING" : "HEALTHY";
  }

  setRoutes(routes: readonly Route[]): void {
    this.#settings.routes = new RouteTable(routes);
  }

  /** Both hold for requests that begin from now on. */
  setTimeouts({
    requestTimeoutMs,
    keepAliveTimeoutMs,
  }: Pick<ResolvedHttpOptions, "requestTimeoutMs" | "keepAliveTimeoutMs">): void {
    this.#settings.requestTimeoutMs = requestTimeoutMs;
    this.#server.keepAliveTimeout = keepAliveTimeoutMs;
  }

  /** Takes nothing new, and resolves when everything that was accepted is answered, at the latest after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#settings.isDraining = true;
    this.#server.close();
    this.#upgrades.goAway();
    for (const { isIdle, isHandedOver, socket } of this.#connections) if (isIdle && !isHandedOver) socket.destroy();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#settings.clock.setTimer(timeoutMs, resolve);
      this.#drained = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#drained = undefined;
  }

  /** Breaks off what is still open. Resolves when no connection is left. */
  async close(): Promise<void> {
    this.#settings.isDraining = true;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#upgrades.terminate();
    this.#settings.receiving.stop();
    for (const { socket } of this.#connections) socket.destroy();
    for (const socket of this.#carriers) socket.destroy();
    await closed;
  }

  #connect(socket: Socket): void {
    const connection = new Connection(socket);
    this.#connections.add(connection);
    socket.once("close", () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#drained?.();
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse, awaitsContinue: boolean): void {
    const connection = this.#begin(request, response);
    const settings = this.#settings;
    const fields = readHead(request);
    // Where it ends is a matter of opinion for a version that does not know chunks (RFC 9112, 6.1).
    if (fields.isChunked && request.httpVersion === "1.0") response.shouldKeepAlive = false;
    const line = readRequestLine(request as { method: string; url: string; httpVersion: string }, fields);
    const reply = "reply" in line ? line.reply : ownReply(line, settings);
    if ("reply" in line || reply !== undefined) {
      this.#answer({ request, response, fields }, reply!);
      return;
    }
    const peer = { address: connection.address, scheme: settings.scheme, host: line.host };
    const target = targetOf(line, { fields, origin: clientOrigin(peer, fields, settings.trusted) }, settings);
    if ("reply" in target) {
      this.traffic.record("", target.reply.status, 0);
      this.#answer({ request, response, fields }, target.reply);
      return;
    }
    if (awaitsContinue && (fields.contentLength ?? 0) <= settings.maxBodyBytes) response.writeContinue();
    new HttpExchange(settings, { request, response, target, fields }).open();
  }

  #begin(request: IncomingMessage, response: ServerResponse): Connection {
    const connection = Connection.of(request.socket)!;
    connection.begin({ request, response });
    (response as Counted)[PROXY] = this;
    response.on("close", onResponseClosed);
    return connection;
  }

  /** An answer of the proxy's own to a request that it has read. */
  #answer({ request, response, fields }: Answered, reply: PlainReply): void {
    const { cors, clock, isDraining } = this.#settings;
    if (fields.hasBody && !request.complete) closeSlowly(request, clock);
    sendReply(response, cors.let(reply, fields.origin), {
      requestId: fields.requestId,
      closes: isDraining || fields.hasBody || reply.status === 400,
    });
  }

  #refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
    this.#begin(request, response);
    const fields = readHead(request);
    this.#answer({ request, response, fields }, plain(417, "Only 100-continue may be expected."));
  }

  /** @internal */
  answered(socket: Socket): void {
    const connection = Connection.of(socket)!;
    connection.answered();
    if (this.#settings.isDraining && connection.isIdle) socket.destroySoon();
  }

  /** A connection has left node:http: from now on it is ours, once what was asked before on it is answered. */
  #takeOver(socket: Duplex, then: () => void): void {
    socket.on("error", () => {});
    const connection = Connection.of(socket)!;
    connection.isHandedOver = true;
    connection.whenAnswered(then);
  }

  /** What node:http could not read. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = Connection.of(socket);
    // A handshake of TLS that fails, and a client that is gone, have nobody who could be answered.
    if (connection === undefined || !socket.writable || error.syscall !== undefined) {
      socket.destroy();
      return;
    }
    const { clock } = this.#settings;
    const { last } = connection;
    const reply = clientErrorReply(error);
    if (last === undefined || last.request.complete) {
      // It is what follows the requests that were read: they have their answers first.
      const requestId = requestIdOf(undefined);
      connection.whenAnswered(() => refuseSocket(socket, reply, { requestId, clock }));
      return;
    }
    const exchange = exchangeOf(last.response);
    if (exchange === undefined || last.response.writableEnded) endSlowly(socket, clock);
    else exchange.refuse(reply.status, reply.text);
  }
}

interface Answered {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly fields: HeadFields;
}

/** The system's own default is two hours. */
const KEEP_ALIVE_DELAY_MS = 60_000;
const PROXY: unique symbol = Symbol("proxy");
type Counted = { [PROXY]?: Proxy };

function onResponseClosed(this: ServerResponse): void {
  (this as Counted)[PROXY]!.answered(this.req.socket);
}
