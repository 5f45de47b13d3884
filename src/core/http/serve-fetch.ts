import { HeliostatError } from "../errors.ts";
import { httpRequest, takesBody } from "./http-request.ts";
import type { ExchangeHost, IncomingExchange, OpenedExchange } from "./incoming-exchange.ts";
import { RequestBody } from "./request-body.ts";
import { headOf, isResponse, ResponseSender } from "./response-sender.ts";

/** Serves one HTTP request: calls the user's `fetch` and sends what it gives. Never throws. */
export function serveFetch(exchange: IncomingExchange, { head, body }: OpenedExchange, host: ExchangeHost): void {
  const streamed = exchange.hasParts && takesBody(head.method) ? new RequestBody(exchange) : undefined;
  const settle = (result: unknown): void => answer(exchange, result, { host, isHead: head.method === "HEAD" });
  const fail = (error: unknown): void => host.fail(exchange, error);
  let outcome: unknown;
  try {
    const method = host.method(exchange);
    const whole = body.byteLength > 0 && takesBody(head.method) ? body : undefined;
    const request = httpRequest(exchange, head, streamed?.stream ?? whole);
    if (streamed !== undefined) {
      // Made only if it is needed: an error takes as long as all of a small request.
      const over = (): Error => bodyOver(exchange);
      exchange.onStop = () => streamed.fail(over);
      exchange.onEnd(() => streamed.fail(over));
      exchange.accept();
    }
    outcome = host.call(exchange, method, host.target, [request]);
  } catch (error) {
    fail(error);
    return;
  }
  if (isResponse(outcome)) settle(outcome);
  else Promise.resolve(outcome).then(settle, fail);
}

/** Sends the response, in the context of the request: the code behind its body runs meanwhile. */
function answer(
  exchange: IncomingExchange,
  result: unknown,
  { host, isHead }: { readonly host: ExchangeHost; readonly isHead: boolean },
): void {
  if (!isResponse(result)) {
    host.fail(exchange, noResponse(result, host.deployment));
    return;
  }
  const { body } = result;
  const hasBody = body !== null && !isHead && exchange.endedBy === undefined;
  if (hasBody) {
    const sender = new ResponseSender(exchange, host);
    host.call(exchange, sender.send, sender, [result]);
    return;
  }
  // Its code has not begun to run, or is stopped here: nobody will read it.
  if (body !== null && !body.locked) void host.call(exchange, discard, undefined, [body]);
  const { endedBy } = exchange;
  if (endedBy !== undefined) host.fail(exchange, endedBy);
  else host.succeed(exchange, (others) => exchange.respond({ head: headOf(result), body: NO_BYTES }, others));
}

const NO_BYTES = new Uint8Array(0);

function discard(body: ReadableStream): Promise<void> {
  return body.cancel().catch(() => {});
}

function bodyOver(exchange: IncomingExchange): Error {
  return (
    exchange.endedBy ??
    new HeliostatError(
      `The body of request ${exchange.requestId} was read when the request was over. Read it before the response ends.`,
    )
  );
}

function noResponse(result: unknown, deployment: string): HeliostatError {
  const what = result === null ? "null" : typeof result === "object" ? "an object" : typeof result;
  return new HeliostatError(
    `${deployment}.fetch gave ${what}; it must give a Response, such as Response.json(value) or new Response(text).`,
  );
}
