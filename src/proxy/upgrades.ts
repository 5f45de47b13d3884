import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { clientOrigin } from "./client-origin.ts";
import { Connection } from "./connection.ts";
import { plain, type PlainReply } from "./error-reply.ts";
import type { AppTarget } from "./http-exchange.ts";
import { ownReply } from "./own-routes.ts";
import { PingRound } from "./ping-round.ts";
import { refuseSocket } from "./refuse-socket.ts";
import { type HeadFields, readHead } from "./request-head.ts";
import { readRequestLine } from "./request-line.ts";
import { targetOf } from "./request-target.ts";
import type { ProxySettings } from "./settings.ts";
import { WebSocketExchange } from "./web-socket-exchange.ts";

/** 16 bytes in base64 (RFC 6455, 4.1). */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
/** The largest message that a client may send. */
const MAX_MESSAGE_BYTES = 16_777_216;

/** Requests that ask for a WebSocket, and those that are open. */
export class Upgrades {
  readonly #settings: ProxySettings;
  readonly #open = new Set<WebSocketExchange>();
  readonly #server: WebSocketServer;
  readonly #pings: PingRound;

  constructor(settings: ProxySettings) {
    this.#settings = settings;
    this.#pings = new PingRound(settings.clock, settings.pingIntervalMs);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: Math.min(MAX_MESSAGE_BYTES, settings.maxBodyBytes),
      // The number of bytes bounds what a message may cost; in how many pieces they come is the client's affair.
      maxFragments: 0,
      maxBufferedChunks: 0,
      // The application has chosen before the handshake is answered, and its choice is among the header fields.
      handleProtocols: () => false,
    });
    // What the library finds wrong with a handshake is answered as everything else is.
    this.#server.on("wsClientError", (error, socket, request) =>
      this.#refuse(socket, plain(400, error.message), { request, fields: readHead(request) }),
    );
  }

  get count(): number {
    return this.#open.size;
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const fields = readHead(request);
    const decision = this.#decide(request, { fields, address: Connection.of(socket)!.address });
    if ("reply" in decision) {
      this.#refuse(socket, decision.reply, { request, fields });
      return;
    }
    const exchange = new WebSocketExchange(
      this.#settings,
      { request, socket, head, target: decision },
      { server: this.#server, pings: this.#pings, onGone: () => this.#open.delete(exchange) },
    );
    this.#open.add(exchange);
    exchange.open();
  }

  goAway(): void {
    for (const exchange of this.#open) exchange.goAway();
  }

  terminate(): void {
    for (const exchange of this.#open) exchange.terminate();
    this.#pings.stop();
    this.#server.close();
  }

  #decide(
    request: IncomingMessage,
    { fields, address }: { readonly fields: HeadFields; readonly address: string },
  ): AppTarget | { readonly reply: PlainReply } {
    const { headers } = request;
    const settings = this.#settings;
    const line = readRequestLine(request as { method: string; url: string; httpVersion: string }, fields);
    if ("reply" in line) return line;
    const own = ownReply(line, settings);
    if (own !== undefined) return { reply: own };
    const wrong = (status: number, text: string, more: PlainReply["headers"] = []) => ({
      reply: { ...plain(status, text), headers: more },
    });
    if (headers.upgrade?.toLowerCase() !== "websocket")
      return wrong(501, `The proxy cannot upgrade to ${headers.upgrade ?? "that"}.`);
    if (request.httpVersion !== "1.1") return wrong(400, "A WebSocket is opened with HTTP/1.1.");
    if (line.method !== "GET") return wrong(405, "A WebSocket is opened with GET.", [["Allow", "GET"]]);
    if (!KEY.test(headers["sec-websocket-key"] ?? ""))
      return wrong(400, "The header Sec-WebSocket-Key is missing or not valid.");
    const version = headers["sec-websocket-version"];
    if (version !== "13" && version !== "8")
      return wrong(426, "WebSockets of version 13 are served.", [["Sec-WebSocket-Version", "13"]]);
    if (settings.isDraining) return wrong(503, "This proxy is draining.");
    const peer = { address, scheme: settings.scheme, host: line.host };
    return targetOf(line, { fields, origin: clientOrigin(peer, fields, settings.trusted) }, settings);
  }

  #refuse(
    socket: Duplex,
    reply: PlainReply,
    { request, fields }: { readonly request: IncomingMessage; readonly fields: HeadFields },
  ): void {
    const { cors, clock } = this.#settings;
    const { requestId, origin } = fields;
    refuseSocket(socket, cors.let(reply, origin), { requestId, clock, isHead: request.method === "HEAD" });
  }
}

/** Whether a request can end in a WebSocket; what else a client offers to upgrade to is passed over (RFC 9110, 7.8). */
export function mayBecomeWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === "1.1" && headers.upgrade?.toLowerCase() === "websocket";
}
