import { HeliostatError } from "../errors.ts";
import type { HeaderFields, RequestHead, ResponseHead } from "./exchange.ts";
import { headOf, isResponse } from "./response-head.ts";

/** What is answered to a client that wants a WebSocket. */
export type Opening =
  | { readonly type: "accept"; readonly head: ResponseHead }
  | { readonly type: "refuse"; readonly head: ResponseHead; readonly body: ReadableStream<Uint8Array> | null };

/** What belongs to the handshake itself, which the proxy makes. */
const HANDSHAKE_FIELDS = /^(?:connection|upgrade|sec-websocket-.*)$/;

/**
 * What a handshake is answered with, from what the class's `acceptWebSocket` gave: nothing, headers and a subprotocol
 * of those that the client offers, or a Response that refuses it.
 *
 * @throws {HeliostatError} if it is none of these.
 */
export function openingOf(given: unknown, request: RequestHead): Opening {
  if (given === undefined || given === true) return accept([]);
  if (isResponse(given)) return { type: "refuse", head: headOf(given), body: given.body };
  if (typeof given !== "object" || given === null)
    throw new HeliostatError(
      `acceptWebSocket gave ${given === null ? "null" : String(given)}. Give { protocol, headers }, nothing at all to accept, or a Response to refuse.`,
    );
  const { protocol, headers } = given as { readonly protocol?: unknown; readonly headers?: HeadersInit };
  const fields = [...new Headers(headers ?? [])].filter(([name]) => !HANDSHAKE_FIELDS.test(name));
  if (protocol === undefined) return accept(fields);
  const offered = offeredProtocols(request);
  if (typeof protocol !== "string" || !offered.includes(protocol))
    throw new HeliostatError(
      `acceptWebSocket chose the subprotocol ${JSON.stringify(protocol)}; the client offers ${offered.length === 0 ? "none" : offered.join(", ")}.`,
    );
  return accept([...fields, ["sec-websocket-protocol", protocol]]);
}

function accept(headers: HeaderFields): Opening {
  return { type: "accept", head: { status: 101, statusText: "Switching Protocols", headers } };
}

function offeredProtocols({ headers }: RequestHead): string[] {
  return headers
    .filter(([name]) => name.toLowerCase() === "sec-websocket-protocol")
    .flatMap(([, value]) => value.split(",").map((protocol) => protocol.trim()));
}
