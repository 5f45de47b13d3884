import { HeliostatError } from "../errors.ts";
import { BROKEN, FAILED, RESTARTING } from "./close-code.ts";
import type { CloseReason, ResponseHead } from "./exchange.ts";
import { ExchangeSocket } from "./exchange-socket.ts";
import type { ExchangeHost, IncomingExchange, OpenedExchange } from "./incoming-exchange.ts";
import { openingOf } from "./web-socket-opening.ts";
import { webRequest } from "./web/platform.ts";

/** Of an answer that refuses a handshake. */
const MAX_REFUSAL_BYTES = 1_048_576;

/**
 * Serves one WebSocket: asks the class's `acceptWebSocket`, if it has one, whether and how to open it, calls the user's
 * `websocket`, and closes when that is done. Never throws.
 *
 * Without a method `websocket` the handshake is answered with 501.
 */
export function serveWebSocket(exchange: IncomingExchange, opened: OpenedExchange, host: ExchangeHost): void {
  let method: Function;
  try {
    method = host.method(exchange);
  } catch {
    host.succeed(exchange, (others) => exchange.respond(notImplemented(host.deployment), others));
    return;
  }
  const fail = (error: unknown): void => host.fail(exchange, exchange.endedBy ?? error);
  try {
    const request = webRequest(exchange, opened.head, undefined);
    const begin = (head: ResponseHead): void => converse(exchange, { host, method, request, head });
    const acceptor = host.acceptor();
    const given = acceptor && host.call(exchange, acceptor.method, acceptor.self, [request]);
    if (given instanceof Promise)
      given.then((late) => settle(exchange, { given: late, opened, host, begin })).catch(fail);
    else settle(exchange, { given, opened, host, begin });
  } catch (error) {
    fail(error);
  }
}

interface Decision {
  /** What `acceptWebSocket` gave. */
  readonly given: unknown;
  readonly opened: OpenedExchange;
  readonly host: ExchangeHost;
  begin(head: ResponseHead): void;
}

function settle(exchange: IncomingExchange, { given, opened, host, begin }: Decision): void {
  if (exchange.endedBy !== undefined) throw exchange.endedBy;
  const opening = openingOf(given, opened.head);
  if (opening.type === "accept") {
    begin(opening.head);
    return;
  }
  const { head, body } = opening;
  wholeBody(body).then(
    (bytes) => host.succeed(exchange, (others) => exchange.respond({ head, body: bytes }, others)),
    (error: unknown) => host.fail(exchange, exchange.endedBy ?? error),
  );
}

interface Conversation {
  readonly host: ExchangeHost;
  readonly method: Function;
  readonly request: Request;
  readonly head: ResponseHead;
}

/** Accepts the WebSocket and lets the user's method talk. */
function converse(exchange: IncomingExchange, { host, method, request, head }: Conversation): void {
  const socket = new ExchangeSocket(exchange);
  const done = (): void => {
    socket.end();
    const { endedBy } = exchange;
    if (endedBy === undefined) host.succeed(exchange, (others) => exchange.end(others));
    else host.fail(exchange, endedBy);
  };
  const failed = (error: unknown): void => {
    const { endedBy } = exchange;
    socket.stop(endedBy === undefined ? FAILED : closeFor(endedBy));
    host.fail(exchange, endedBy ?? error);
  };
  let outcome: unknown;
  try {
    exchange.onStop = () => socket.stop(closeFor(exchange.endedBy!));
    exchange.sendHead(head);
    exchange.accept();
    outcome = host.call(exchange, method, host.target, [socket, request]);
  } catch (error) {
    failed(error);
    return;
  }
  Promise.resolve(outcome).then(done, failed);
}

/** What the client is closed with, as the proxy does it. */
function closeFor(error: Error): CloseReason {
  return HeliostatError.isInstance(error) && error.code === "REPLICA_UNAVAILABLE" ? RESTARTING : BROKEN;
}

async function wholeBody(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > MAX_REFUSAL_BYTES)
      throw new HeliostatError(`A Response that refuses a WebSocket may have ${MAX_REFUSAL_BYTES} bytes at most.`);
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

function notImplemented(deployment: string) {
  const text = `${deployment} has no method websocket(socket, request).`;
  return {
    head: { status: 501, statusText: "Not Implemented", headers: [["content-type", "text/plain"]] as const },
    body: text,
  };
}
