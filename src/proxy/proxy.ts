import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Clock } from "../core/contracts/clock.ts";
import type { Log } from "../core/contracts/log.ts";
import type { ResolvedHttpOptions } from "../core/deployment/run-options.ts";
import type { OpenExchange } from "../core/http/exchange.ts";
import { ConfigError } from "../core/errors.ts";
import { plain, type PlainReply } from "./error-reply.ts";
import { exchangeOf, HttpExchange } from "./http-exchange.ts";
import { ownReply } from "./own-routes.ts";
import { readHead, requestIdOf } from "./request-head.ts";
import { targetOf } from "./request-target.ts";
import { RouteTable, type Route } from "./route-table.ts";
import { sendRawReply, sendReply } from "./send-reply.ts";
import type { Patience, ProxySettings } from "./settings.ts";
import { Traffic } from "./traffic.ts";
import { isWebSocket, Upgrades } from "./upgrades.ts";

export interface ProxyOptions extends Patience {
  readonly http: ResolvedHttpOptions;
  readonly openExchange: OpenExchange;
  readonly clock: Clock;
  readonly log: Log;
  /** Several processes listen on the same port. @default false */
  readonly sharesPort?: boolean;
}

/** The connection that `clientError` tells of, with the response that it is busy with (node:http's own field). */
type HttpSocket = Socket & { readonly _httpMessage?: ServerResponse | null };

/** Serves HTTP and WebSockets in this process, each request by a replica of the application whose route matches. */
export class Proxy {
  readonly url: string;
  readonly port: number;
  readonly traffic: Traffic;
  readonly #server: Server;
  readonly #settings: ProxySettings;
  readonly #upgrades: Upgrades;
  /** Every connection, and how many requests of it are being answered. */
  readonly #connections = new Map<Socket, number>();
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
    server.on("request", (request, response) => this.#serve(request, response));
    server.on("checkContinue", (request, response) => this.#serve(request, response));
    server.on("upgrade", (request, socket, head) => this.#upgrades.accept(request, socket, head));
    server.on("connect", (request, socket) => {
      sendRawReply(socket, plain(405, "CONNECT is not served."), requestIdOf(request));
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket as HttpSocket));
  }

  /** Listens. @throws {ConfigError} with the path `http.port` or `http.host` if it cannot. */
  static async open(options: ProxyOptions): Promise<Proxy> {
    const { http, openExchange, clock, log } = options;
    const bodyTimeoutMs = options.bodyTimeoutMs ?? 300_000;
    const settings: ProxySettings = {
      openExchange,
      clock,
      log,
      traffic: new Traffic(),
      scheme: http.tls === undefined ? "http" : "https",
      maxBodyBytes: http.maxBodyBytes,
      routes: RouteTable.empty,
      requestTimeoutMs: http.requestTimeoutMs,
      isDraining: false,
    };
    const serverOptions = {
      maxHeaderSize: http.maxHeaderBytes,
      keepAliveTimeout: http.keepAliveTimeoutMs,
      headersTimeout: Math.min(options.headTimeoutMs ?? 20_000, bodyTimeoutMs),
      requestTimeout: bodyTimeoutMs,
      connectionsCheckingInterval: options.checkPeriodMs ?? 5_000,
      // An answer of our own says so, with a request id.
      requireHostHeader: false,
      // Where Node knows it (24.9), other upgrades that a client offers are passed over, as HTTP allows.
      shouldUpgradeCallback: isWebSocket,
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
    for (const [socket, requests] of this.#connections) if (requests === 0) socket.destroy();
    if (this.#isIdle()) return;
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
    for (const socket of [...this.#connections.keys(), ...this.#carriers]) socket.destroy();
    await closed;
  }

  #connect(socket: Socket): void {
    this.#connections.set(socket, 0);
    socket.once("close", () => {
      this.#connections.delete(socket);
      if (this.#isIdle()) this.#drained?.();
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#connections.set(socket, (this.#connections.get(socket) ?? 0) + 1);
    response.on("close", onResponseClosed);
    (response as Counted)[PROXY] = this;
    const fields = readHead(request);
    const { requestId } = fields;
    const url = request.url!;
    const method = request.method!;
    if (fields.host === undefined && request.httpVersion === "1.1") {
      sendReply(response, plain(400, "A Host header is needed."), { requestId, closes: true });
      return;
    }
    const own = ownReply({ method, url }, this.#settings);
    if (own !== undefined) {
      sendReply(response, own, { requestId, contentType: own.contentType, closes: this.#settings.isDraining });
      return;
    }
    const target = targetOf({ method, url }, fields, this.#settings);
    if ("reply" in target) {
      this.traffic.record("", target.reply.status, 0);
      sendReply(response, target.reply, { requestId, closes: fields.hasBody || this.#settings.isDraining });
      return;
    }
    const isTooLarge = (fields.contentLength ?? 0) > this.#settings.maxBodyBytes;
    if (!isTooLarge && request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
    new HttpExchange(this.#settings, { request, response, target, fields }).open();
  }

  /** @internal */
  answered(socket: Socket | null): void {
    const requests = socket === null ? undefined : this.#connections.get(socket);
    if (requests === undefined) return;
    this.#connections.set(socket!, requests - 1);
    if (this.#settings.isDraining && requests === 1) socket!.destroySoon();
  }

  /** What node:http could not read. */
  #refuse(error: NodeJS.ErrnoException, socket: HttpSocket): void {
    const { status, text } = replyTo(error);
    const response = socket._httpMessage;
    const exchange = exchangeOf(response);
    if (exchange !== undefined) exchange.refuse(status, text);
    else if (socket.writable && !(response?.headersSent ?? false))
      sendRawReply(socket, plain(status, text), requestIdOf(undefined));
    else socket.destroy();
  }

  #isIdle(): boolean {
    return this.#connections.size === 0;
  }
}

const PROXY: unique symbol = Symbol("proxy");
type Counted = { [PROXY]?: Proxy };

function onResponseClosed(this: ServerResponse): void {
  (this as Counted)[PROXY]!.answered(this.req.socket);
}

function replyTo(error: NodeJS.ErrnoException): PlainReply {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return plain(431, "The header of the request is too large.");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return plain(408, "The request did not arrive in time.");
    default:
      return plain(400, "The request is no valid HTTP.");
  }
}

function createTls(options: object, { key, cert, ca }: NonNullable<ResolvedHttpOptions["tls"]>): Server {
  try {
    return createTlsServer({ ...options, key, cert, ...(ca === undefined ? {} : { ca }) });
  } catch (cause) {
    throw new ConfigError(`http.tls is not a key and a certificate in PEM: ${(cause as Error).message}.`, {
      path: "http.tls",
      cause,
    });
  }
}

function listen(server: Server, { host, port }: ResolvedHttpOptions, reusePort: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
    server.listen({ host, port, ...(reusePort ? { reusePort } : {}) }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): ConfigError {
  switch (cause.code) {
    case "EADDRINUSE":
      return new ConfigError(
        `Port ${port} of ${host} is taken by another program. Choose another with http.port; 0 takes any free one.`,
        { path: "http.port", cause },
      );
    case "EACCES":
      return new ConfigError(
        `Port ${port} needs rights that this process does not have. Choose one above 1023 with http.port.`,
        {
          path: "http.port",
          cause,
        },
      );
    case "ENOTSUP":
      return new ConfigError("Several processes cannot share a port on this system. Set http.workers to 1.", {
        path: "http.workers",
        cause,
      });
    default:
      return new ConfigError(`${host} is no address of this machine to listen on: ${cause.message}.`, {
        path: "http.host",
        cause,
      });
  }
}
