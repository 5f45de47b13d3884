import { httpRequest } from "./http-request.ts";
import type { ExchangeHost, IncomingExchange, OpenedExchange } from "./incoming-exchange.ts";
import { ExchangeSocket } from "./exchange-socket.ts";

/**
 * Serves one WebSocket: calls the user's `websocket`, and closes when that is done. Never throws.
 *
 * Without such a method the opening is answered with 501.
 */
export function serveWebSocket(exchange: IncomingExchange, { head }: OpenedExchange, host: ExchangeHost): void {
  let method: Function;
  try {
    method = host.method(exchange);
  } catch {
    host.succeed(exchange, (others) => exchange.respond(notImplemented(host.deployment), others));
    return;
  }
  const socket = new ExchangeSocket(exchange);
  const done = (): void => {
    socket.end();
    const { endedBy } = exchange;
    if (endedBy === undefined) host.succeed(exchange, (others) => exchange.end(others));
    else host.fail(exchange, endedBy);
  };
  const failed = (error: unknown): void => {
    socket.stop();
    host.fail(exchange, exchange.endedBy ?? error);
  };
  let outcome: unknown;
  try {
    const request = httpRequest(exchange, head, undefined);
    exchange.onStop = () => socket.stop();
    exchange.sendHead({ status: 101, statusText: "Switching Protocols", headers: [] });
    exchange.accept();
    outcome = host.call(exchange, method, host.target, [socket, request]);
  } catch (error) {
    failed(error);
    return;
  }
  Promise.resolve(outcome).then(done, failed);
}

function notImplemented(deployment: string) {
  const text = `${deployment} has no method websocket(socket, request).`;
  return {
    head: { status: 501, statusText: "Not Implemented", headers: [["content-type", "text/plain"]] as const },
    body: new TextEncoder().encode(text),
  };
}
