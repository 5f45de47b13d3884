import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { plain } from "./error-reply.ts";
import { readHead } from "./request-head.ts";
import { targetOf } from "./request-target.ts";
import { sendRawReply } from "./send-reply.ts";
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

  constructor(settings: ProxySettings) {
    this.#settings = settings;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: Math.min(MAX_MESSAGE_BYTES, settings.maxBodyBytes),
      // Protocols are the application's affair, which has no say in the handshake: the first is taken, as `ws` does.
    });
  }

  get count(): number {
    return this.#open.size;
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const fields = readHead(request);
    const { requestId } = fields;
    const { headers, method } = request;
    const refuse = (status: number, text: string, more: readonly (readonly [string, string])[] = []): void =>
      sendRawReply(socket, { ...plain(status, text), headers: more }, requestId);
    socket.on("error", () => {});
    if (!isWebSocket(request)) return refuse(501, `The proxy cannot upgrade to ${headers.upgrade ?? "that"}.`);
    if (method !== "GET") return refuse(405, "A WebSocket is opened with GET.", [["Allow", "GET"]]);
    if (!KEY.test(headers["sec-websocket-key"] ?? ""))
      return refuse(400, "The header Sec-WebSocket-Key is missing or wrong.");
    const version = headers["sec-websocket-version"];
    if (version !== "13" && version !== "8")
      return refuse(426, "WebSockets of version 13 are served.", [["Sec-WebSocket-Version", "13"]]);
    if (this.#settings.isDraining) return refuse(503, "This proxy is draining.");
    const target = targetOf({ method, url: request.url! }, fields, this.#settings);
    if ("reply" in target) {
      sendRawReply(socket, target.reply, requestId);
      return;
    }
    const exchange = new WebSocketExchange(
      this.#settings,
      { request, socket, head, target: { ...target, options: { ...target.options, timeoutMs: undefined } } },
      { server: this.#server, onGone: () => this.#open.delete(exchange) },
    );
    this.#open.add(exchange);
    exchange.open();
  }

  goAway(): void {
    for (const exchange of this.#open) exchange.goAway();
  }

  terminate(): void {
    for (const exchange of this.#open) exchange.terminate();
    this.#server.close();
  }
}

export function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}
