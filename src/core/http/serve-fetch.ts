import { HeliostatError } from "../errors.ts";
import type { ResponseHead } from "./exchange.ts";
import type { ExchangeHost, IncomingExchange, OpenedExchange } from "./incoming-exchange.ts";
import { RequestBody } from "./request-body.ts";
import { headOf, isBodyless, isResponse, withLength } from "./response-head.ts";
import { cancelled, ResponseSender, WHOLE_BYTES } from "./response-sender.ts";
import { plainResponse, webRequest } from "./web/platform.ts";

/** Serves one HTTP request: calls the user's `fetch` and sends what it gives. Never throws. */
export function serveFetch(exchange: IncomingExchange, { head, body }: OpenedExchange, host: ExchangeHost): void {
  const takesBody = head.method !== "GET" && head.method !== "HEAD";
  const streamed = exchange.hasParts && takesBody ? new RequestBody(exchange) : undefined;
  const fail = (error: unknown): void => host.fail(exchange, error);
  const settle = (result: unknown): void => {
    // What is wrong with the object that was given is this request's trouble, and no rejection that nobody handles.
    try {
      answer(exchange, result, { host, method: head.method });
    } catch (error) {
      fail(exchange.endedBy ?? error);
    }
  };
  let outcome: unknown;
  try {
    const method = host.method(exchange);
    const whole = body.byteLength > 0 && takesBody ? body : undefined;
    const request = webRequest(exchange, head, streamed?.stream ?? whole);
    if (streamed !== undefined) {
      // Made only if it is needed: an error takes as long as all of a small request.
      const over = (): Error => bodyOver(exchange);
      exchange.onStop = () => streamed.fail(over);
      exchange.onEnd(() => streamed.fail(over));
      exchange.accept();
    }
    outcome = host.call(exchange, method, host.target, [request]);
    if (!isResponse(outcome)) {
      Promise.resolve(outcome).then(settle, fail);
      return;
    }
  } catch (error) {
    fail(error);
    return;
  }
  settle(outcome);
}

interface AnswerContext {
  readonly host: ExchangeHost;
  readonly method: string;
}

/** Sends the response, in the context of the request: the code behind its body runs meanwhile. */
function answer(exchange: IncomingExchange, result: unknown, { host, method }: AnswerContext): void {
  if (!isResponse(result)) throw noResponse(result, host.deployment);
  if (result.bodyUsed) throw usedResponse(host.deployment);
  const isHead = method === "HEAD";
  const plain = plainResponse(result);
  if (plain !== undefined && exchange.endedBy === undefined) {
    sendPlain(exchange, plain, { content: plain.body, host, isHead });
    return;
  }
  const { body } = result;
  if (body !== null && exchange.endedBy === undefined && (isHead || !isBodyless(method, result.status))) {
    const sender = new ResponseSender(exchange, host);
    host.call(exchange, sender.send, sender, [headOf(result), body, isHead]);
    return;
  }
  // Its code has not begun to run, or is stopped here: nobody will read it.
  if (body !== null && !body.locked) void host.call(exchange, cancelled, undefined, [body]);
  if (exchange.endedBy !== undefined) throw exchange.endedBy;
  respond(exchange, host, { head: headOf(result), body: NO_BYTES });
}

interface PlainContext {
  readonly content: string | Uint8Array | null;
  readonly host: ExchangeHost;
  readonly isHead: boolean;
}

/** Sends a body that is text or bytes, without making a stream of it first. */
function sendPlain(exchange: IncomingExchange, head: ResponseHead, { content, host, isHead }: PlainContext): void {
  if (content === null) respond(exchange, host, { head, body: NO_BYTES });
  else if (typeof content === "string" && content.length <= MAX_TEXT_LENGTH && !isHead)
    respond(exchange, host, { head, body: content });
  else {
    const bytes = typeof content === "string" ? encoder.encode(content) : content;
    if (isHead) respond(exchange, host, { head: withLength(head, bytes.byteLength), body: NO_BYTES });
    else if (bytes.byteLength <= WHOLE_BYTES) respond(exchange, host, { head, body: bytes });
    else void new ResponseSender(exchange, host).sendBytes(head, bytes);
  }
}

function respond(
  exchange: IncomingExchange,
  host: ExchangeHost,
  response: Parameters<IncomingExchange["respond"]>[0],
): void {
  host.succeed(exchange, (others) => exchange.respond(response, others));
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
/** Of a text that surely takes no more bytes than one frame has room for: three for each UTF-16 unit. */
const MAX_TEXT_LENGTH = Math.floor(WHOLE_BYTES / 3);

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

function usedResponse(deployment: string): HeliostatError {
  return new HeliostatError(
    `${deployment}.fetch gave a Response whose body was read, or sent, before. Give a new one for each request, or response.clone().`,
  );
}
